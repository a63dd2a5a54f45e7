//! Shares of a name's traffic, and the weights that come nearest to them: numbers only.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

/// How much of the traffic each side gets, in percent; they sum to 100.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Shares(BTreeMap<String, u32>);

impl Shares {
    fn new(shares: BTreeMap<String, u32>) -> Result<Self, String> {
        let sum: u64 = shares.values().map(|share| u64::from(*share)).sum();
        if sum == 100 { Ok(Self(shares)) } else { Err(format!("the shares sum to {sum}, not to 100 percent")) }
    }

    /// Sides and what they get.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(side, share)| (side.as_str(), *share))
    }

    /// Whether there is such a side.
    pub(super) fn has(&self, side: &str) -> bool {
        self.0.contains_key(side)
    }
}

impl<'de> Deserialize<'de> for Shares {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(label, share)| format!("{label} {share} %")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Weights, one for every record of each side, and how far from the shares that is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Division {
    /// In the order of the sides.
    pub(super) weights: Vec<u32>,
    /// What each side really gets, in percent.
    pub(super) percent: Vec<f64>,
    /// The greatest difference from what was asked, in percentage points; 0 when the weights are exact.
    pub(super) off: f64,
}

/// Divides each side's share among its records, by a factor that is common to all, so that the sides get what they shall however many records each
/// has. `sides`: share in percent and number of records, at least one of which has both. No weight is above `heaviest`; where that can be, none
/// is above the greatest share, so that with one record a side the weights read as percent.
pub(super) fn divide(sides: &[(u32, usize)], heaviest: u32) -> Division {
    let open = |(share, count): &&(u32, usize)| *share > 0 && *count > 0;
    let common = sides.iter().filter(open).fold(1_u128, |lcm, (_, count)| lcm / gcd(lcm, *count as u128) * *count as u128);
    let raw: Vec<u128> = sides.iter().map(|side| if open(&side) { u128::from(side.0) * common / side.1 as u128 } else { 0 }).collect();
    let divisor = raw.iter().fold(0, |sum, one| gcd(sum, *one)).max(1);
    let raw: Vec<u128> = raw.into_iter().map(|one| one / divisor).collect();
    let most = raw.iter().copied().max().unwrap_or(0).max(1);
    let largest_share = sides.iter().filter(open).map(|(share, _)| *share).max().unwrap_or(0);
    let weights: Vec<u32> = if most <= u128::from(heaviest) {
        let factor = (u128::from(largest_share.min(heaviest)) / most).max(1);
        raw.iter().map(|one| u32::try_from(one * factor).unwrap_or(heaviest)).collect()
    } else {
        // A side that shall get something gets something.
        let scaled = |one: u128| ((one * u128::from(heaviest) + most / 2) / most).max(1);
        raw.iter().map(|one| if *one == 0 { 0 } else { u32::try_from(scaled(*one)).unwrap_or(heaviest) }).collect()
    };
    let drawn: Vec<f64> = weights.iter().zip(sides).map(|(weight, (_, count))| f64::from(*weight) * *count as f64).collect();
    let total: f64 = drawn.iter().sum();
    let percent: Vec<f64> = drawn.iter().map(|one| if total > 0.0 { one * 100.0 / total } else { 0.0 }).collect();
    let off = percent.iter().zip(sides).map(|(is, (share, _))| (is - f64::from(*share)).abs()).fold(0.0, f64::max);
    Division { weights, percent, off: if off < 1e-9 { 0.0 } else { off } }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_a_hundred() {
        let shares = |json: &str| serde_json::from_str::<Shares>(json).map_err(|error| error.to_string());
        assert!(shares(r#"{"aws": 100, "aliyun": 0}"#).is_ok());
        for (json, message) in
            [(r#"{"aws": 100, "aliyun": 1}"#, "sum to 101"), (r#"{"aws": 50}"#, "sum to 50"), ("{}", "sum to 0"), (r#"{"aws": -1}"#, "invalid")]
        {
            let error = shares(json).unwrap_err();
            assert!(error.contains(message), "{json}: {error}");
        }
    }

    #[test]
    fn a_share_is_a_sides_however_many_records_it_has() {
        for (sides, heaviest, weights) in [
            (vec![(100, 1), (0, 1)], 255, vec![100, 0]),
            (vec![(50, 1), (50, 1)], 255, vec![50, 50]),
            (vec![(30, 2), (70, 2)], 100, vec![30, 70]),
            (vec![(100, 2), (0, 4)], 100, vec![100, 0]),
            (vec![(50, 2), (50, 4)], 100, vec![50, 25]),
            (vec![(10, 3), (90, 1)], 100, vec![3, 81]),
            (vec![(20, 1), (30, 2), (50, 5)], 100, vec![48, 36, 24]),
            (vec![(1, 1), (99, 1)], 100, vec![1, 99]),
        ] {
            let division = divide(&sides, heaviest);
            assert_eq!((division.weights, division.off), (weights, 0.0), "{sides:?}");
        }
    }

    #[test]
    fn what_cannot_be_exact_comes_as_near_as_the_weights_allow_and_says_so() {
        let division = divide(&[(1, 5), (99, 1)], 100);
        assert_eq!(division.weights, [1, 100]);
        assert!((division.off - 3.76).abs() < 0.01 && (division.percent[0] - 4.76).abs() < 0.01, "{division:?}");
        let near = divide(&[(33, 7), (67, 3)], 100);
        assert!(near.off > 0.0 && near.off < 1.0, "{near:?}");
        assert_eq!(divide(&[(99, 1), (1, 5)], 255).weights, [255, 1]);
    }

    #[test]
    fn every_division_is_in_range_and_nothing_asked_for_is_lost() {
        for share in 1..100 {
            for (left, right) in [(1, 1), (1, 2), (2, 1), (3, 7), (100, 1), (1, 100), (97, 89)] {
                for heaviest in [100, 255] {
                    let Division { weights, off, .. } = divide(&[(share, left), (100 - share, right)], heaviest);
                    assert!(weights.iter().all(|weight| (1..=heaviest).contains(weight)), "{share} {left} {right}: {weights:?}");
                    assert!(off < 50.0);
                }
            }
        }
    }
}
