//! A producer that speaks AMQP 0-9-1 by hand, for what no client library would let it say.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Publishes a persistent message whose property `app_id` is these bytes, as the user `guest`, and waits until the
/// broker has it.
pub fn publish(url: &str, exchange: &str, routing_key: &str, app_id: &[u8], body: &[u8]) {
    let url = url::Url::parse(url).expect("a URL");
    let address = (url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.write_all(b"AMQP\x00\x00\x09\x01").expect("sent");
    method(&mut stream); // connection.start
    let start_ok =
        [&[0, 10, 0, 11, 0, 0, 0, 0][..], &short(b"PLAIN"), &long(b"\0guest\0guest"), &short(b"en_US")];
    send(&mut stream, 1, 0, &start_ok.concat());
    let tune = method(&mut stream);
    // The same bounds back, without a heartbeat.
    send(&mut stream, 1, 0, &[&[0, 10, 0, 31], &tune[4..10], &[0, 0][..]].concat());
    send(&mut stream, 1, 0, &[&[0, 10, 0, 40][..], &short(b"/"), &short(b""), &[0]].concat());
    method(&mut stream); // connection.open-ok
    send(&mut stream, 1, 1, &[0, 20, 0, 10, 0]);
    method(&mut stream); // channel.open-ok
    let publish =
        [&[0, 60, 0, 40, 0, 0][..], &short(exchange.as_bytes()), &short(routing_key.as_bytes()), &[1]];
    send(&mut stream, 1, 1, &publish.concat());
    let size = u64::try_from(body.len()).expect("short").to_be_bytes();
    // The flags of delivery-mode and app-id, and the two values.
    let header = [&[0, 60, 0, 0][..], &size, &[0x10, 0x08, 2], &short(app_id)];
    send(&mut stream, 2, 1, &header.concat());
    send(&mut stream, 3, 1, body);
    send(&mut stream, 1, 1, &[0, 20, 0, 40, 0, 200, 0, 0, 0, 0, 0]);
    assert_eq!(method(&mut stream)[..4], [0, 20, 0, 41], "the channel closes in peace");
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).expect("short")], text].concat()
}

fn long(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).expect("short").to_be_bytes()[..], text].concat()
}

fn send(stream: &mut TcpStream, kind: u8, channel: u16, payload: &[u8]) {
    let size = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let frame = [&[kind][..], &channel.to_be_bytes(), &size, payload, &[0xce]].concat();
    stream.write_all(&frame).expect("sent");
}

/// The payload of the next frame.
fn method(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).expect("a frame");
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let mut payload = vec![0; size as usize + 1];
    stream.read_exact(&mut payload).expect("a frame");
    payload
}
