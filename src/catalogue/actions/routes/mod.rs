//! Routes of VPC route tables on AWS.

mod route;

actions! {
    blackhole_route::BlackholeRoute,
    replace_route::ReplaceRoute,
}
