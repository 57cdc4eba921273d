//! Lengths of time and sizes, as they are written in the configuration.

use std::time::Duration;

/// `250ms`, `30s`, `5m`, `1h`: whole numbers only. Nothing needs no unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit) = split(text)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// `512B`, `32KiB`, `8MiB`, `1GiB`, `0`.
pub(super) fn size(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        assert_eq!((duration("0"), size("0")), (Some(Duration::ZERO), Some(0)));
        assert_eq!(duration("48h"), Some(Duration::from_secs(172_800)));
        assert_eq!(size("64MiB"), Some(64 << 20));
        for bad in [
            "",
            "5",
            "ms",
            "-5s",
            "1.5s",
            "5 s",
            "5S",
            "18446744073709551615h",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(size("64MB"), None);
        assert_eq!(size("18446744073709551615GiB"), None);
    }
}
