//! Who can reach whom: instance state, routes, ACLs and security groups decide.
