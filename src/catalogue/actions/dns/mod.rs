//! DNS: where names lead.

mod weights;

actions! {
    shift_weight::ShiftWeight,
}
