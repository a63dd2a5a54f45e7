//! Virtual machines: starting, stopping, isolating. What both clouds have is written once, over the port; a word is a parameter struct.

mod at_least;
mod bring;
mod power;

actions! {
    aliyun_isolate_instances::IsolateInstances,
    aliyun_start_instances::StartInstances,
    aliyun_stop_instances::StopInstances,
    aws_start_instances::StartInstances,
    aws_stop_instances::StopInstances,
}
