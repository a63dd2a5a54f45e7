//! What touches no cloud: waiting, notes, commands, requests.

actions! {
    approval::Approval,
    exec::Exec,
    http_request::HttpRequest,
    manual::Manual,
    note::Note,
    wait::Wait,
    wait_for::WaitFor,
}
