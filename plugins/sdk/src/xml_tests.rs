//! Documents in, texts out; and back.

use proptest::prelude::*;

use super::*;

fn pairs(document: &str) -> Result<Vec<(String, String)>, &'static str> {
    read(document.as_bytes())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn text_and_cdata_are_written() {
    let document = Writer::new("xml")
        .text("total_fee", "1")
        .text("a", "<&>\"]]>\r\n\0")
        .cdata("attach", "支]]>付\u{1}]]&<")
        .cdata("empty", "")
        .finish();
    assert_eq!(
        document,
        "<xml><total_fee>1</total_fee><a>&lt;&amp;&gt;\"]]&gt;\n</a>\
         <attach><![CDATA[支]]]]><![CDATA[>付]]&<]]></attach><empty><![CDATA[]]></empty></xml>"
    );
}

#[test]
fn replies_are_read_leniently() {
    let expected = Ok(vec![pair("return_code", "SUCCESS"), pair("return_msg", "OK")]);
    for document in [
        "<xml><return_code>SUCCESS</return_code><return_msg>OK</return_msg></xml>",
        "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>",
        "\u{FEFF}<?xml version=\"1.0\"?>\n<xml a=\"b\">\r\n <return_code >\n<![CDATA[SUCCESS]]>\n</return_code>\t\
         <!-- <a> --><return_msg> O&#75;<!-- x --> </return_msg ></xml>\n<!-- end -->\n",
        "<r><return_code>&#x53;UCCESS</return_code><return_msg><![CDATA[O]]>K</return_msg></r>",
    ] {
        assert_eq!(pairs(document), expected, "{document}");
    }
    assert_eq!(pairs("<xml><a/><b></b><c> <![CDATA[ x ]]> </c></xml>"), {
        Ok(vec![pair("a", ""), pair("b", ""), pair("c", " x ")])
    });
    assert_eq!(pairs("<xml></xml>"), Ok(vec![]));
}

#[test]
fn what_is_no_flat_xml_is_refused() {
    for document in [
        "",
        "success",
        "{\"a\":1}",
        "<xml>",
        "<xml><a>1</xml>",
        "<xml><a>1</b></xml>",
        "<xml></xml><xml></xml>",
        "<xml>text</xml>",
        "<xml><a><b>1</b></a></xml>",
        "<xml><a>&nbsp;</a></xml>",
        "<xml><a>&</a></xml>",
        "<xml><a>&#0;</a></xml>",
        "<xml><a>&#+65;</a></xml>",
        "<xml><a>&#xD800;</a></xml>",
        "< xml></xml>",
        "<>",
        "</xml>",
        "<xml><a></a/></xml>",
        "<xml/>",
        "<xml><a><![CDATA[1</a></xml>",
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><x><y>&b;</y></x>",
        "<!DOCTYPE html><html><body>success</body></html>",
    ] {
        assert!(pairs(document).is_err(), "{document}");
    }
    assert_eq!(read(b"<xml>\xff</xml>"), Err("not UTF-8"));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in ".*", other in "\\PC*") {
        let document = Writer::new("xml").cdata("a", &value).text("b", &other).finish();
        let expected = vec![pair("a", &expressible(&value)), pair("b", expressible(&other).trim())];
        prop_assert_eq!(pairs(&document), Ok(expected));
    }

    #[test]
    fn nothing_makes_the_reader_panic(document in "(<|>|/|!|\\[|CDATA|\\]|-|&|;|#|x|a| |\\?|xml){0,40}") {
        let _ = pairs(&document);
    }
}
