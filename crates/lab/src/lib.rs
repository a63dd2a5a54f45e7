//! The lab: two simulated clouds on loopback that speak the vendors' wire protocols, with a data plane that really moves bytes.
//!
//! In reading order: [`world`] is state and physics, [`wire`] turns bytes into calls and answers into bytes, [`services`] joins the two,
//! [`data`] is what the shop's users see (HTTP, DNS, replication, load), [`serve`] puts it all on sockets with `listen`, lets time pass
//! with `driver`, [`faults`] makes the clouds misbehave on demand, and `control` lets tests look inside.
//! The crate knows nothing of the rest of Lifeboat but how the two write times and rules (`lifeboat_notation`): agreement between the lab and Lifeboat's clients
//! means something only while they share no code.

mod control;
pub mod data;
mod driver;
pub mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod listen;
pub mod serve;
pub mod services;
#[cfg(test)]
mod tests;
pub mod wire;
pub mod world;
