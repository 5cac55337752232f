//! Exact amounts. No float comes near money.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 currency that money can be counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The alphabetic code: three capitals.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals amounts have: 0 for JPY, 2 for CNY, 3 for KWD.
    #[must_use]
    pub fn exponent(self) -> u8 {
        self.0.exponent().and_then(|exponent| u8::try_from(exponent).ok()).unwrap_or(0)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        iso_currency::Currency::from_code(&code)
            // Gold, bond units and the like have no decimals at all: nobody pays in them.
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("`{code}` is no ISO 4217 currency code such as CNY")))
    }
}

/// An exact amount: `minor / 10^exponent` of the currency. May be negative, for a reversal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// The amount in minor units, such as cents or fen.
    pub minor: i64,
    /// What it is counted in.
    pub currency: Currency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_those_of_iso_4217() {
        for (code, exponent) in [("JPY", 0), ("CNY", 2), ("EUR", 2), ("KWD", 3), ("ISK", 0)] {
            let money: Money =
                serde_json::from_str(&format!(r#"{{"minor":1,"currency":"{code}"}}"#)).expect(code);
            assert_eq!(money.currency.exponent(), exponent, "{code}");
        }
        for wrong in ["cny", "XAU", "ABC", ""] {
            let text = format!(r#"{{"minor":1,"currency":"{wrong}"}}"#);
            assert!(serde_json::from_str::<Money>(&text).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Money>(r#"{"minor":1.5,"currency":"CNY"}"#).is_err());
    }
}
