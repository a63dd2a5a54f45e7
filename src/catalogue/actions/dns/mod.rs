//! DNS: where names lead.

mod answers;
mod weights;

actions! {
    shift_weight::ShiftWeight,
}
