//! The pure part: languages, plan, events and what follows from events. No tokio, no I/O, no clock.

pub mod call;
pub mod chain;
pub mod credentials;
pub mod decode;
pub mod destination;
pub mod diagnostic;
pub mod difference;
pub mod dns;
pub mod domain;
pub mod event;
pub mod expression;
pub mod failure;
pub mod forecast;
pub mod format;
pub mod glob;
pub mod guard;
pub mod host;
pub mod ids;
pub mod index;
pub mod interval;
pub mod measure;
pub mod order;
pub mod phrases;
pub mod plain;
pub mod plan;
pub mod project;
pub mod realism;
pub mod runbook;
pub mod scenario;
pub mod state;
pub mod target;
pub mod text;
pub mod whereabouts;
pub mod written;
pub mod yaml;

pub use lifeboat_notation::{lab, time};
