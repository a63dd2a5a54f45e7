//! How far this machine's clock may be off, if whoever keeps it tells.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::world::command;

/// How long they may take to tell.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bit of the kernel's clock status: not synchronised (`STA_UNSYNC` of adjtimex(2)).
const UNSYNCHRONISED: u64 = 0x40;

/// The bound of the wall clock's error in milliseconds, from chrony, else from what the kernel was told by whoever keeps its clock. Absent when neither can be
/// asked, or the clock is not synchronised: then it is not known.
pub async fn clock_error_ms() -> Option<f64> {
    let chrony = said("chronyc -n -c tracking").await.and_then(|text| of_chrony(&text));
    match chrony {
        Some(error) => Some(error),
        None => said("adjtimex --print").await.and_then(|text| of_kernel(&text)),
    }
}

async fn said(command: &str) -> Option<String> {
    let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let ended = tokio::time::timeout(PATIENCE, command::run(&words, &BTreeMap::new(), &[("LC_ALL", "C")], "")).await.ok()?.ok()?;
    ended.status.success().then_some(ended.stdout)
}

/// The error's bound by chronyc(1), `tracking`: |system time| + root dispersion + half the root delay.
fn of_chrony(line: &str) -> Option<f64> {
    let fields: Vec<&str> = line.trim().split(',').collect();
    // Reference id, name, stratum, reference time, system time, last offset, RMS offset, frequency, residual, skew, root delay, root dispersion, interval, leap.
    let [_, _, _, _, offset, _, _, _, _, _, delay, dispersion, _, leap] = fields[..] else { return None };
    let seconds = |text: &str| text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let error = seconds(offset)?.abs() + seconds(dispersion)? + seconds(delay)? / 2.0;
    (leap != "Not synchronised").then_some(error * 1000.0)
}

/// The kernel's `maxerror`, microseconds.
fn of_kernel(text: &str) -> Option<f64> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().parse::<u32>().ok()
    };
    let synchronised = u64::from(field("status")?) & UNSYNCHRONISED == 0;
    synchronised.then_some(f64::from(field("maxerror")?) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chrony_tells_offset_dispersion_and_delay() {
        let line =
            "A9FEA97B,169.254.169.123,4,1795390000.123456789,-0.000012000,0.000001,0.000013,-3.210,0.000,0.012,0.000500000,0.000238000,16.1,Normal\n";
        assert!((of_chrony(line).unwrap() - 0.5).abs() < 1e-9, "{:?}", of_chrony(line));
        assert_eq!(of_chrony(&line.replace("Normal", "Not synchronised")), None);
        assert_eq!(of_chrony("506 Cannot talk to daemon"), None);
        assert_eq!(of_chrony(&line.replace("0.000238000", "nan")), None);
    }

    #[test]
    fn the_kernel_tells_its_greatest_error() {
        let text = "         mode: 0\n       offset: 12\n     maxerror: 13500\n     esterror: 100\n       status: 8193\n";
        assert_eq!(of_kernel(text), Some(13.5));
        assert_eq!(of_kernel(&text.replace("8193", "64")), None);
        assert_eq!(of_kernel(""), None);
    }
}
