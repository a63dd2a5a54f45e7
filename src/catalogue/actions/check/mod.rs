//! Checks: one reading that must be good, or the step fails. Retry them with the step's `retry`.

actions! {
    dns::CheckDns,
    http::CheckHttp,
    prometheus::CheckPrometheus,
}
