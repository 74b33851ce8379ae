//! `strftime` in the C locale, for the date lines of chat templates.

use minijinja::{Error, ErrorKind};

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A civil date and time.
struct Civil {
    year: i64,
    /// From 1.
    month: i64,
    /// From 1.
    day: i64,
    /// From 0, Sunday.
    weekday: i64,
    /// From 1.
    day_of_year: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

/// Formats local seconds since 1970.
pub(super) fn format(format: &str, seconds: i64) -> Result<String, Error> {
    let time = civil(seconds);
    let mut out = String::with_capacity(format.len() + 16);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let directive = match chars.next() {
            // The GNU flag that leaves out padding.
            Some('-') => (chars.next(), false),
            other => (other, true),
        };
        match directive {
            (Some(directive), padded) => push(&mut out, directive, padded, &time)?,
            (None, _) => out.push('%'),
        }
    }
    Ok(out)
}

fn push(out: &mut String, directive: char, padded: bool, time: &Civil) -> Result<(), Error> {
    let hour_12 = (time.hour + 11) % 12 + 1;
    let month = MONTHS[usize::try_from(time.month - 1).unwrap_or(0) % 12];
    let weekday = DAYS[usize::try_from(time.weekday).unwrap_or(0) % 7];
    match directive {
        'Y' => number(out, time.year, 1, padded),
        'm' => number(out, time.month, 2, padded),
        'd' => number(out, time.day, 2, padded),
        'e' => out.push_str(&format!("{:>2}", time.day)),
        'H' => number(out, time.hour, 2, padded),
        'I' => number(out, hour_12, 2, padded),
        'M' => number(out, time.minute, 2, padded),
        'S' => number(out, time.second, 2, padded),
        'y' => number(out, time.year.rem_euclid(100), 2, padded),
        'j' => number(out, time.day_of_year, 3, padded),
        'w' => number(out, time.weekday, 1, padded),
        'u' => number(out, (time.weekday + 6) % 7 + 1, 1, padded),
        'B' => out.push_str(month),
        'b' | 'h' => out.push_str(&month[..3]),
        'A' => out.push_str(weekday),
        'a' => out.push_str(&weekday[..3]),
        'p' => out.push_str(if time.hour < 12 { "AM" } else { "PM" }),
        'F' => out.push_str(&format!("{}-{:02}-{:02}", time.year, time.month, time.day)),
        'T' => out.push_str(&format!(
            "{:02}:{:02}:{:02}",
            time.hour, time.minute, time.second
        )),
        'D' => out.push_str(&format!(
            "{:02}/{:02}/{:02}",
            time.month,
            time.day,
            time.year.rem_euclid(100)
        )),
        'n' => out.push('\n'),
        't' => out.push('\t'),
        '%' => out.push('%'),
        // The local time has no zone name: Python prints nothing.
        'Z' | 'z' => {}
        other => {
            let reason = format!("strftime_now: %{other} is not supported");
            return Err(Error::new(ErrorKind::InvalidOperation, reason));
        }
    }
    Ok(())
}

fn number(out: &mut String, value: i64, width: usize, padded: bool) {
    out.push_str(&format!(
        "{value:0width$}",
        width = if padded { width } else { 1 }
    ));
}

/// The Gregorian calendar counted from 1970, in eras of 400 years that begin in
/// March, so that the leap day is a year's last.
fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86_400);
    let second_of_day = seconds.rem_euclid(86_400);
    let from_era_start = days + 719_468;
    let era = from_era_start.div_euclid(146_097);
    let day_of_era = from_era_start.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_from_march + 2) / 153;
    let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let day_of_year =
        before[usize::try_from(month - 1).unwrap_or(0) % 12] + day + i64::from(leap && month > 2);
    Civil {
        year,
        month,
        day,
        weekday: (days + 4).rem_euclid(7),
        day_of_year,
        hour: second_of_day / 3_600,
        minute: second_of_day / 60 % 60,
        second: second_of_day % 60,
    }
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn dates_read_as_in_templates() {
        // 2024-02-29 15:04:05, a Thursday.
        let at = 1_709_219_045;
        for (pattern, text) in [
            ("%d %b %Y", "29 Feb 2024"),
            ("%B %-d, %Y", "February 29, 2024"),
            ("%Y-%m-%d %H:%M:%S", "2024-02-29 15:04:05"),
            ("%A %a %I:%M %p %j %y %%", "Thursday Thu 03:04 PM 060 24 %"),
            ("%F", "2024-02-29"),
        ] {
            assert_eq!(format(pattern, at).ok().as_deref(), Some(text));
        }
        assert_eq!(
            format("%F %A", -1).ok().as_deref(),
            Some("1969-12-31 Wednesday")
        );
        assert!(format("%Q", 0).is_err());
    }
}
