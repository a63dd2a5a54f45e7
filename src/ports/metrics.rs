//! What a cloud's own monitoring says: alarms and numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PortFuture;
use crate::model::time::Timestamp;

/// What an alarm says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// Its condition does not hold.
    Ok,
    /// Its condition holds.
    Alarm,
    /// There are not enough numbers to tell.
    InsufficientData,
    /// It is switched off, so that its last state says nothing about now.
    Off,
}

/// An alarm as the cloud describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What it says.
    pub state: AlarmState,
    /// Why, in the vendor's words; may be empty.
    pub reason: String,
}

/// Which numbers of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricQuery {
    /// The vendor's namespace, such as `AWS/ApplicationELB` or `acs_slb_dashboard`.
    pub namespace: String,
    /// The metric's name.
    pub metric: String,
    /// What it is measured of.
    pub dimensions: BTreeMap<String, String>,
    /// The vendor's word for how the samples of a period become one number.
    pub statistic: String,
    /// The length of a period.
    pub period: Duration,
}

/// The number of one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When the period began.
    pub at: Timestamp,
    /// The number.
    pub value: f64,
}

/// Reading monitoring. Numbers come late in every cloud (a few periods), so this says what monitoring knows, not what is.
pub trait Metrics: Send + Sync {
    /// The alarm with exactly this name.
    fn alarm<'a>(&'a self, name: &'a str) -> PortFuture<'a, Alarm>;

    /// The newest number of every series that fits, none when there is none of the last periods.
    fn latest<'a>(&'a self, query: &'a MetricQuery) -> PortFuture<'a, Vec<Point>>;
}
