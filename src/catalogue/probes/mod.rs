//! What is read again and again.

mod freshness;
mod monitoring;

probes! {
    cloudmonitor_alarm::CloudMonitorAlarm,
    cloudmonitor_metric::CloudMonitorMetric,
    cloudwatch_alarm::CloudWatchAlarm,
    cloudwatch_metric::CloudWatchMetric,
    dns::DnsProbe,
    exec::ExecProbe,
    group::Group,
    grpc_health::GrpcHealth,
    http::HttpProbe,
    lag::ObjectsLag,
    oss_freshness::OssFreshness,
    prometheus::PrometheusProbe,
    s3_freshness::S3Freshness,
    tcp::TcpProbe,
    tls::TlsProbe,
}
