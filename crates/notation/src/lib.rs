//! What Lifeboat and its lab write alike: times, the clouds' names, the version of their files, and the rules by which a lab misbehaves.
//!
//! The lab uses nothing else of Lifeboat, and of the two neither finds here how a vendor's protocol is spoken: that the clients and the lab understand each other
//! means something only while each has its own words for it.

pub mod cloud;
pub mod lab;
pub mod time;
pub mod version;
