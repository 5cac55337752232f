//! The text that a signature is over, where a format sorts its fields.

/// `name=value` of all fields except those named in `without`, sorted by the bytes of the name and joined by `&`. Values
/// are plain text, not encoded; empty ones are left out, as nearly every format has it.
///
/// Fields of the same name keep their order. The text is not one from which the fields could be read again: a `&` in a
/// value stays as it is, for that is how these formats are.
#[must_use]
pub fn sorted<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>, without: &[&str]) -> String {
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    sorted_with_empty(given, without)
}

/// The same, with the empty values: `name=`.
#[must_use]
pub fn sorted_with_empty<'a>(
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    without: &[&str],
) -> String {
    let mut pairs: Vec<(&str, &str)> =
        fields.into_iter().filter(|(name, _)| !without.contains(name)).collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted_by_bytes() {
        let fields = [("b", "2"), ("sign", "x"), ("a_b", "&="), ("a", ""), ("B", "支"), ("ab", "1")];
        assert_eq!(sorted(fields, &["sign"]), "B=支&a_b=&=&ab=1&b=2");
        assert_eq!(sorted_with_empty(fields, &["sign"]), "B=支&a=&a_b=&=&ab=1&b=2");
        assert_eq!(sorted([], &[]), "");
    }

    /// pay.weixin.qq.com/wiki/doc/api/H5.php?chapter=4_3: the signature rules' own example.
    #[test]
    fn the_example_of_wechat_v2() {
        let fields = [
            ("appid", "wxd930ea5d5a258f4f"),
            ("mch_id", "10000100"),
            ("device_info", "1000"),
            ("body", "test"),
            ("nonce_str", "ibuaiVcKdpRxkhJA"),
        ];
        assert_eq!(
            sorted(fields, &[]),
            "appid=wxd930ea5d5a258f4f&body=test&device_info=1000&mch_id=10000100&nonce_str=ibuaiVcKdpRxkhJA"
        );
    }

    /// alipay-sdk-nodejs-all@e167639, test/alipay.test.ts, a real notification of the service market, in which the old rule
    /// keeps `sign_type`.
    #[test]
    fn a_real_notification_of_alipays_service_market() {
        let fields = [
            ("app_id", "2017122801303261"),
            ("charset", "UTF-8"),
            ("commodity_order_id", "2019030800000018079639"),
            ("contactor", "技术支持测试的公司"),
            ("merchant_pid", "2088721996721370"),
            ("method", "alipay.open.servicemarket.order.notify"),
            ("name", "技术支持测试的公司"),
            ("notify_id", "2019030800222102023008121054923345"),
            ("notify_time", "2019-03-08 10:20:23"),
            ("notify_type", "servicemarket_order_notify"),
            ("order_item_num", "1"),
            ("order_ticket", "29b1c37d99ab48c5bd5bdaeaeaefbB37"),
            ("order_time", "2019-03-08 10:20:08"),
            ("phone", "17826894615"),
            ("service_code", "58621634"),
            ("sign", "MsK5SCw8…"),
            ("sign_type", "RSA2"),
            ("timestamp", "2019-03-08 10:20:23"),
            ("title", "麦禾商城模版"),
            ("total_price", "0.00"),
            ("version", "1.0"),
        ];
        assert_eq!(
            sorted(fields, &["sign"]),
            "app_id=2017122801303261&charset=UTF-8&commodity_order_id=2019030800000018079639\
             &contactor=技术支持测试的公司&merchant_pid=2088721996721370\
             &method=alipay.open.servicemarket.order.notify&name=技术支持测试的公司\
             &notify_id=2019030800222102023008121054923345&notify_time=2019-03-08 10:20:23\
             &notify_type=servicemarket_order_notify&order_item_num=1\
             &order_ticket=29b1c37d99ab48c5bd5bdaeaeaefbB37&order_time=2019-03-08 10:20:08\
             &phone=17826894615&service_code=58621634&sign_type=RSA2\
             &timestamp=2019-03-08 10:20:23&title=麦禾商城模版&total_price=0.00&version=1.0"
        );
    }
}
