//! Amounts as text. Exact: digits are moved, never divided, and there is no float anywhere.

use crate::record::unusable;
use crate::{Money, PluginError};

/// The amount in whole units with all decimals of its currency: 1 fen is `0.01`, 100 yen are `100`.
#[must_use]
pub fn decimal(money: &Money) -> String {
    let decimals = usize::from(money.exponent);
    let digits = format!("{:0>width$}", money.minor.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if money.minor < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// The amount as an integer with so many decimals, for formats that count a currency otherwise than ISO 4217 does.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names the field, if that would round the amount, or is more than 64 bits hold.
pub fn in_decimals(name: &str, money: &Money, decimals: u8) -> Result<i64, PluginError> {
    let power = 10_i64.checked_pow(u32::from(decimals.abs_diff(money.exponent)));
    let exact = if decimals >= money.exponent {
        power.and_then(|power| money.minor.checked_mul(power))
    } else {
        power.filter(|power| money.minor % power == 0).map(|power| money.minor / power)
    };
    let reason =
        || format!("cannot be told in {} with {decimals} decimals, as the format counts it", money.currency);
    exact.ok_or_else(|| unusable(name, &reason()))
}

/// The same amount, for formats that know one currency only and so do not write it.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names the field, if the amount is in another currency: without its name a
/// merchant would take it for this one.
pub fn in_currency<'a>(name: &str, money: &'a Money, currency: &str) -> Result<&'a Money, PluginError> {
    if money.currency == currency {
        return Ok(money);
    }
    Err(unusable(name, &format!("in {}, and the format can tell of {currency} only", money.currency)))
}

/// The same amount, for formats whose receivers take no negative one.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names the field.
pub fn not_negative<'a>(name: &str, money: &'a Money) -> Result<&'a Money, PluginError> {
    if money.minor >= 0 {
        return Ok(money);
    }
    Err(unusable(name, "negative, and the format cannot express that"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, exponent: u8) -> Money {
        Money { minor, currency: "XXX".to_owned(), exponent }
    }

    #[test]
    fn amounts_are_exact() {
        let text = |minor, exponent| decimal(&money(minor, exponent));
        assert_eq!(text(0, 2), "0.00");
        assert_eq!(text(12_345, 2), "123.45");
        assert_eq!(text(100, 0), "100");
        assert_eq!(text(5, 3), "0.005");
        assert_eq!(text(-7, 2), "-0.07");
        assert_eq!(text(i64::MAX, 2), "92233720368547758.07");
        assert_eq!(text(i64::MIN, 2), "-92233720368547758.08");
        assert_eq!(text(1, 255).len(), 257);
    }

    #[test]
    fn decimals_change_exactly_or_not_at_all() {
        let told = |minor, exponent, decimals| in_decimals("amount", &money(minor, exponent), decimals).ok();
        assert_eq!(told(-5, 0, 2), Some(-500));
        assert_eq!(told(1_200, 2, 0), Some(12));
        assert_eq!(told(i64::MIN, 3, 3), Some(i64::MIN));
        assert_eq!((told(1_250, 2, 0), told(i64::MAX, 0, 2), told(1, 0, 255)), (None, None, None));
        assert_eq!(
            in_decimals("amount", &money(1, 2), 0),
            Err(unusable("amount", "cannot be told in XXX with 0 decimals, as the format counts it"))
        );
    }

    #[test]
    fn what_a_format_cannot_say_is_refused_by_name() {
        let refused = |result: Result<&Money, PluginError>| match result {
            Err(PluginError::UnusableRecord(text)) => text,
            other => panic!("not refused: {other:?}"),
        };
        let yen = Money { currency: "JPY".to_owned(), ..money(-1, 0) };
        assert_eq!(
            refused(in_currency("amount", &yen, "CNY")),
            "amount: in JPY, and the format can tell of CNY only"
        );
        assert_eq!(refused(not_negative("fee", &yen)), "fee: negative, and the format cannot express that");
        assert!(in_currency("amount", &yen, "JPY").is_ok() && not_negative("amount", &money(0, 2)).is_ok());
    }
}
