//! The vendors' APIs over the world.
