//! Moments and lengths of time that are known only between two bounds. Everything measured is one of these.

use super::time::Timestamp;

/// Nanoseconds in a millisecond.
pub const MILLISECOND: i64 = 1_000_000;

/// A moment that lies somewhere in `[lo, hi]`, and where in there it most likely is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Not earlier than this.
    pub lo: Timestamp,
    /// Not later than this.
    pub hi: Timestamp,
    /// The best single answer; it proves nothing.
    pub likely: Timestamp,
}

impl Moment {
    /// A moment that is known exactly.
    #[must_use]
    pub const fn exact(at: Timestamp) -> Self {
        Self { lo: at, hi: at, likely: at }
    }

    /// A moment between two others, given in any order; its middle is as likely as any other.
    #[must_use]
    pub fn between(one: Timestamp, other: Timestamp) -> Self {
        let (lo, hi) = (one.min(other), one.max(other));
        Self { lo, hi, likely: Timestamp::from_nanos(lo.as_nanos().saturating_add(hi.nanos_since(lo) / 2)) }
    }

    /// The same bounds with a better answer; what lies outside them is moved to the nearer one.
    #[must_use]
    pub fn most_likely(self, likely: Timestamp) -> Self {
        Self { likely: likely.clamp(self.lo, self.hi), ..self }
    }

    /// The length of time from `earlier` to this moment: `[self.lo - earlier.hi, self.hi - earlier.lo]`, never negative.
    #[must_use]
    pub fn since(self, earlier: Self) -> Length {
        let bounds = Length::new(self.lo.nanos_since(earlier.hi), self.hi.nanos_since(earlier.lo));
        Length { likely: self.likely.nanos_since(earlier.likely).clamp(bounds.lo, bounds.hi), ..bounds }
    }
}

/// A length of time that lies somewhere in `[lo, hi]`, in nanoseconds, never negative, and what it most likely is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length {
    /// Not shorter than this.
    pub lo: i64,
    /// Not longer than this.
    pub hi: i64,
    /// The best single answer.
    pub likely: i64,
}

impl Length {
    /// Between two bounds, its middle as likely as any other; negative ones count as zero.
    #[must_use]
    pub fn new(lo: i64, hi: i64) -> Self {
        let lo = lo.max(0);
        let hi = hi.max(lo);
        Self { lo, hi, likely: lo + (hi - lo) / 2 }
    }

    /// Both bounds moved outwards by `by` nanoseconds.
    #[must_use]
    pub fn widened(self, by: i64) -> Self {
        Self { likely: self.likely, ..Self::new(self.lo.saturating_sub(by), self.hi.saturating_add(by)) }
    }

    /// The same with a better answer; what lies outside the bounds is moved to the nearer one.
    #[must_use]
    pub fn most_likely(self, likely: i64) -> Self {
        Self { likely: likely.clamp(self.lo, self.hi), ..self }
    }

    /// The bounds in whole milliseconds, rounded outwards so that they still hold the true value.
    #[must_use]
    pub fn millis(self) -> [i64; 2] {
        [self.lo.div_euclid(MILLISECOND), self.hi.saturating_add(MILLISECOND - 1).div_euclid(MILLISECOND)]
    }
}

/// Rounds `parts` (not negative) to multiples of `unit` so that they still sum to what the sum of the exact parts rounds to: those with the largest remainder are rounded up.
///
/// Without this 1:14 + 1:59 + 5:05 would be shown beside a total of 8:19.
#[must_use]
pub fn round_to_sum(parts: &[i64], unit: i64) -> Vec<i64> {
    let total: i64 = parts.iter().sum();
    let mut rounded: Vec<i64> = parts.iter().map(|part| part / unit).collect();
    let missing = (total + unit / 2) / unit - rounded.iter().sum::<i64>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| (-(parts[*index] % unit), *index));
    for index in order.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
        rounded[index] += 1;
    }
    rounded.into_iter().map(|part| part * unit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn a_difference_holds_every_pair_of_true_values() {
        let down = Moment::between(at(100), at(140));
        let up = Moment::between(at(1000), at(1060));
        assert_eq!(up.since(down), Length { lo: 860, hi: 960, likely: 910 });
        // A request that hung for long: the edge is near the moment it was sent, and may be anywhere until it was given up.
        let hung = Moment::between(at(100), at(140)).most_likely(at(105));
        assert_eq!(up.since(hung), Length { lo: 860, hi: 960, likely: 925 }, "35 to one side and 65 to the other");
        assert_eq!(down.most_likely(at(9)).likely, at(100));
        assert_eq!(down.since(up), Length::new(0, 0), "never negative");
    }

    #[test]
    fn milliseconds_are_rounded_outwards() {
        assert_eq!(Length::new(1_999_999, 2_000_001).millis(), [1, 3]);
        assert_eq!(Length::new(2_000_000, 2_000_000).millis(), [2, 2]);
    }

    #[test]
    fn shown_parts_sum_to_the_shown_total() {
        let minutes = [73_900, 118_700, 304_700, 229_600, 70_300];
        assert_eq!(round_to_sum(&minutes, 1000), [74_000, 119_000, 305_000, 229_000, 70_000]);
        assert_eq!(round_to_sum(&minutes, 1000).iter().sum::<i64>(), 797_000);
    }

    proptest! {
        #[test]
        fn rounding_keeps_the_sum_and_moves_no_part_by_a_unit(parts in prop::collection::vec(0..1_000_000_i64, 1..6), unit in 1..10_000_i64) {
            let rounded = round_to_sum(&parts, unit);
            let total: i64 = parts.iter().sum();
            prop_assert_eq!(rounded.iter().sum::<i64>(), (total + unit / 2) / unit * unit);
            for (part, shown) in parts.iter().zip(&rounded) {
                prop_assert!((part - shown).abs() < unit);
            }
        }
    }
}
