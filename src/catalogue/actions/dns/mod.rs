//! DNS: where names lead.

mod answers;
mod shares;
mod weights;

actions! {
    shift_weight::ShiftWeight,
}
