//! AMQP frames, read and written: a thin layer over the codec that lapin uses.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, BasicProperties, basic, channel, connection};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

/// A frame's bytes beside its payload.
const OVERHEAD: usize = 8;

/// Reads frames off a connection.
pub struct Reader {
    half: OwnedReadHalf,
    bytes: Vec<u8>,
}

impl Reader {
    pub fn new(half: OwnedReadHalf) -> Self {
        Self { half, bytes: Vec::new() }
    }

    /// The next frame and its length; `None` when the client is gone or speaks no AMQP. May be dropped while it waits.
    pub async fn frame(&mut self) -> Option<(AMQPFrame, usize)> {
        loop {
            match parse_frame(self.bytes.as_slice()) {
                Ok((rest, frame)) => {
                    let used = self.bytes.len() - rest.len();
                    self.bytes.drain(..used);
                    return Some((frame, used));
                }
                Err(error) if error.is_incomplete() => {}
                Err(_) => return None,
            }
            match self.half.read_buf(&mut self.bytes).await {
                Ok(read) if read > 0 => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

/// Appends a frame to what is to be written.
pub fn write(out: &mut Vec<u8>, frame: &AMQPFrame) {
    let (bytes, _) = gen_frame(frame)(WriteContext::from(Vec::new())).expect("memory").into_inner();
    out.extend_from_slice(&bytes);
}

/// Appends a method of the class `basic`.
pub fn write_basic(out: &mut Vec<u8>, channel: u16, method: basic::AMQPMethod) {
    write(out, &AMQPFrame::Method(channel, AMQPClass::Basic(method)));
}

/// Appends a method of the class `channel`.
pub fn write_channel(out: &mut Vec<u8>, channel: u16, method: channel::AMQPMethod) {
    write(out, &AMQPFrame::Method(channel, AMQPClass::Channel(method)));
}

/// Appends a method of the class `connection`.
pub fn write_connection(out: &mut Vec<u8>, method: connection::AMQPMethod) {
    write(out, &AMQPFrame::Method(0, AMQPClass::Connection(method)));
}

/// Appends a content: its header, and its body in frames of at most so many bytes.
pub fn write_content(
    out: &mut Vec<u8>,
    channel: u16,
    properties: &BasicProperties,
    body: &[u8],
    most: usize,
) {
    const BASIC: u16 = 60;
    let body_size = u64::try_from(body.len()).expect("short");
    let header = AMQPContentHeader { class_id: BASIC, body_size, properties: properties.clone() };
    write(out, &AMQPFrame::Header(channel, header));
    for piece in body.chunks(most.saturating_sub(OVERHEAD).max(1)) {
        write(out, &AMQPFrame::Body(channel, piece.to_vec()));
    }
}
