//! Tests across layers and of whole commands, one binary.

mod actions;
mod aliyun_client;
mod common;
mod drills;
