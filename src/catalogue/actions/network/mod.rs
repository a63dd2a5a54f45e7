//! Networks: routes of AWS, and cutting off a whole region of Alibaba Cloud.


mod route;

actions! {
    blackhole_route::BlackholeRoute,
    replace_route::ReplaceRoute,
}
