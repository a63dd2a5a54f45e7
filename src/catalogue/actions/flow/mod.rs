//! What touches no cloud: waiting, notes, commands, requests.

actions! {
    exec::Exec,
    http_request::HttpRequest,
    note::Note,
    wait::Wait,
    wait_for::WaitFor,
}
