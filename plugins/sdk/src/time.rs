//! Moments as text, in Beijing and in UTC.
//!
//! A moment is a number of milliseconds since 1970-01-01T00:00:00Z, as the contract has it. What a form does not show is
//! cut off, never rounded. Years of other than four digits are written as they are.

const MILLISECONDS_A_SECOND: i64 = 1_000;
const SECONDS_A_DAY: i64 = 86_400;
/// Beijing is eight hours ahead of UTC the year round, without summer time.
const BEIJING_OFFSET_SECONDS: i64 = 8 * 3_600;

/// Whole seconds since 1970, rounded down.
#[must_use]
pub fn unix_seconds(unix_milliseconds: i64) -> i64 {
    unix_milliseconds.div_euclid(MILLISECONDS_A_SECOND)
}

/// `yyyy-MM-dd HH:mm:ss` in Beijing.
#[must_use]
pub fn beijing(unix_milliseconds: i64) -> String {
    let at = Civil::at(unix_milliseconds, BEIJING_OFFSET_SECONDS);
    format!("{} {}", at.date(), at.time())
}

/// `yyyyMMddHHmmss` in Beijing.
#[must_use]
pub fn beijing_compact(unix_milliseconds: i64) -> String {
    let Civil { year, month, day, hour, minute, second } =
        Civil::at(unix_milliseconds, BEIJING_OFFSET_SECONDS);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// RFC 3339 in Beijing, whole seconds: `2018-06-08T10:34:56+08:00`.
#[must_use]
pub fn rfc3339_beijing(unix_milliseconds: i64) -> String {
    let at = Civil::at(unix_milliseconds, BEIJING_OFFSET_SECONDS);
    format!("{}T{}+08:00", at.date(), at.time())
}

/// RFC 3339 in UTC, whole seconds: `2018-06-08T02:34:56Z`.
#[must_use]
pub fn rfc3339(unix_milliseconds: i64) -> String {
    let at = Civil::at(unix_milliseconds, 0);
    format!("{}T{}Z", at.date(), at.time())
}

/// RFC 3339 in UTC with milliseconds: `2018-06-08T02:34:56.007Z`.
#[must_use]
pub fn rfc3339_with_milliseconds(unix_milliseconds: i64) -> String {
    let at = Civil::at(unix_milliseconds, 0);
    let milliseconds = unix_milliseconds.rem_euclid(MILLISECONDS_A_SECOND);
    format!("{}T{}.{milliseconds:03}Z", at.date(), at.time())
}

/// A moment by calendar and clock, to the second.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Civil {
    fn at(unix_milliseconds: i64, offset_seconds: i64) -> Self {
        let seconds = unix_seconds(unix_milliseconds) + offset_seconds;
        let (year, month, day) = civil_date(seconds.div_euclid(SECONDS_A_DAY));
        let second = seconds.rem_euclid(SECONDS_A_DAY);
        Self { year, month, day, hour: second / 3_600, minute: second / 60 % 60, second: second % 60 }
    }

    fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    fn time(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March here, so that the leap day is the
/// last of a year and month lengths follow one straight line: (153 m + 2) / 5 days come before month m.
fn civil_date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + 719_468; // since 0000-03-01
    let era = days.div_euclid(146_097); // 400 years
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_beijings() {
        let utc_seconds = |seconds: i64| beijing(seconds * 1_000);
        assert_eq!(utc_seconds(0), "1970-01-01 08:00:00");
        assert_eq!(utc_seconds(1_541_748_977), "2018-11-09 15:36:17");
        assert_eq!(utc_seconds(951_840_000), "2000-03-01 00:00:00");
        assert_eq!(utc_seconds(1_709_135_999), "2024-02-28 23:59:59");
        assert_eq!(utc_seconds(1_709_136_000), "2024-02-29 00:00:00");
        assert_eq!(utc_seconds(1_735_660_799), "2024-12-31 23:59:59");
        assert_eq!(utc_seconds(1_735_660_800), "2025-01-01 00:00:00");
        assert_eq!(utc_seconds(4_107_513_600), "2100-03-01 00:00:00");
        assert_eq!(beijing(-1), "1970-01-01 07:59:59");
    }

    #[test]
    fn every_form_of_one_moment() {
        let moment = 1_541_748_977_009;
        assert_eq!(beijing_compact(moment), "20181109153617");
        assert_eq!(rfc3339_beijing(moment), "2018-11-09T15:36:17+08:00");
        assert_eq!(rfc3339(moment), "2018-11-09T07:36:17Z");
        assert_eq!(rfc3339_with_milliseconds(moment), "2018-11-09T07:36:17.009Z");
        assert_eq!(unix_seconds(moment), 1_541_748_977);
        assert_eq!(unix_seconds(-1), -1);
        assert_eq!(rfc3339_with_milliseconds(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn no_panic_at_either_end_of_what_can_be_said() {
        for moment in [i64::MIN, i64::MAX] {
            for form in [beijing, beijing_compact, rfc3339_beijing, rfc3339, rfc3339_with_milliseconds] {
                assert!(!form(moment).is_empty());
            }
        }
    }
}
