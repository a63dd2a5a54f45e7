//! Tests across layers and of whole commands, one binary.

mod aliyun_client;
