//! The lab on sockets: one loopback prefix, its endpoints, its driver.
