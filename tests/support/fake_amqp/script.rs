//! What the fake server does about publishes: a [`Script`] decides, and does it through a [`Line`].

use std::collections::BTreeSet;

use amq_protocol::protocol::{BasicProperties, basic, channel, connection};

use super::codec;
use super::world::{Event, Place, Publish, World};

/// Decides what becomes of the messages that come in.
pub trait Script: Send {
    /// A message came in, on a channel that confirms.
    fn published(&mut self, publish: &Publish, line: &mut Line<'_>);

    /// Some milliseconds have passed; called for each channel that confirms.
    fn tick(&mut self, _line: &mut Line<'_>) {}
}

/// How a connection is to end, once everything that was said before is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The socket is closed in peace.
    HangUp,
    /// The client's socket gets a reset.
    Reset,
}

/// What a connection is about to say, and whether it will say more.
#[derive(Default)]
pub struct Voice {
    pub out: Vec<u8>,
    pub end: Option<End>,
    pub consumers: Vec<Consumer>,
    /// Channels that the server has closed, and 0 for the whole connection: what the client says there is ignored.
    pub closed: BTreeSet<u16>,
    pub is_silent: bool,
}

/// A consumer on one of a connection's channels.
pub struct Consumer {
    pub channel: u16,
    pub tag: String,
    pub queue: String,
}

/// One channel of one connection, as a script uses it. What is done here is in the record before it is written.
pub struct Line<'a> {
    pub place: Place,
    pub world: &'a World,
    pub voice: &'a mut Voice,
}

impl Line<'_> {
    pub fn ack(&mut self, tag: u64) {
        self.confirm(tag, false, true);
    }

    /// With `multiple`: everything up to that one; 0 is everything.
    pub fn ack_up_to(&mut self, tag: u64) {
        self.confirm(tag, true, true);
    }

    pub fn nack(&mut self, tag: u64) {
        self.confirm(tag, false, false);
    }

    pub fn nack_up_to(&mut self, tag: u64) {
        self.confirm(tag, true, false);
    }

    fn confirm(&mut self, delivery_tag: u64, multiple: bool, ack: bool) {
        self.world.confirm(self.place, delivery_tag, multiple, ack);
        let method = if ack {
            basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple })
        } else {
            basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple, requeue: false })
        };
        codec::write_basic(&mut self.voice.out, self.place.1, method);
    }

    /// `basic.return`, as RabbitMQ does it for a message that no queue takes.
    pub fn give_back(&mut self, publish: &Publish) {
        self.give_back_as(publish, &publish.properties);
    }

    /// The same with other properties than the message had.
    pub fn give_back_as(&mut self, publish: &Publish, properties: &BasicProperties) {
        self.world.note(Event::Returned { place: publish.place, tag: publish.tag });
        let method = basic::Return {
            reply_code: 312,
            reply_text: "NO_ROUTE".into(),
            exchange: publish.exchange.as_str().into(),
            routing_key: publish.routing_key.as_str().into(),
        };
        codec::write_basic(&mut self.voice.out, self.place.1, basic::AMQPMethod::Return(method));
        codec::write_content(&mut self.voice.out, self.place.1, properties, &publish.body, 4_096);
    }

    /// `connection.close`; the socket stays open until the client closes it.
    pub fn close_connection(&mut self) {
        self.close_connection_because(320, "CONNECTION_FORCED");
    }

    pub fn close_connection_because(&mut self, reply_code: u16, reply_text: &str) {
        let reply_text = reply_text.into();
        let close = connection::Close { reply_code, reply_text, class_id: 0, method_id: 0 };
        codec::write_connection(&mut self.voice.out, connection::AMQPMethod::Close(close));
        self.voice.closed.insert(0);
    }

    /// `channel.close`.
    pub fn close_channel(&mut self) {
        let close = channel::Close {
            reply_code: 406,
            reply_text: "PRECONDITION_FAILED".into(),
            class_id: 0,
            method_id: 0,
        };
        codec::write_channel(&mut self.voice.out, self.place.1, channel::AMQPMethod::Close(close));
        self.voice.closed.insert(self.place.1);
        self.world.close(self.place);
    }

    /// `basic.cancel` for every consumer of the connection.
    pub fn cancel_consumers(&mut self) {
        for Consumer { channel, tag, .. } in std::mem::take(&mut self.voice.consumers) {
            let cancel = basic::Cancel { consumer_tag: tag.into(), nowait: true };
            codec::write_basic(&mut self.voice.out, channel, basic::AMQPMethod::Cancel(cancel));
        }
    }

    pub fn block(&mut self) {
        let blocked = connection::Blocked { reason: "low on memory".into() };
        codec::write_connection(&mut self.voice.out, connection::AMQPMethod::Blocked(blocked));
    }

    pub fn unblock(&mut self) {
        codec::write_connection(
            &mut self.voice.out,
            connection::AMQPMethod::Unblocked(connection::Unblocked {}),
        );
    }

    /// The socket is closed in peace after what was said.
    pub fn hang_up(&mut self) {
        self.voice.end = Some(End::HangUp);
    }

    /// The socket is reset after what was said.
    pub fn reset(&mut self) {
        self.voice.end = Some(End::Reset);
    }

    /// The connection stays, and nothing more is read from it or written to it: not even heartbeats.
    pub fn fall_silent(&mut self) {
        self.voice.is_silent = true;
    }
}

/// What a well-behaved broker does: each message is confirmed at once.
pub struct Plain;

impl Script for Plain {
    fn published(&mut self, publish: &Publish, line: &mut Line<'_>) {
        line.ack(publish.tag);
    }
}

type Act = Box<dyn FnOnce(&[Publish], &mut Line<'_>) + Send>;

/// Waits for so many messages, then does something about all of them, and is [`Plain`] from then on.
pub struct Gather {
    most: usize,
    got: Vec<Publish>,
    act: Option<Act>,
}

impl Gather {
    pub fn new(most: usize, act: impl FnOnce(&[Publish], &mut Line<'_>) + Send + 'static) -> Self {
        Self { most, got: Vec::new(), act: Some(Box::new(act)) }
    }

    /// The next message is not confirmed.
    pub fn hold() -> Self {
        Self::new(1, |_, _| {})
    }
}

impl Script for Gather {
    fn published(&mut self, publish: &Publish, line: &mut Line<'_>) {
        self.got.push(publish.clone());
        if self.got.len() < self.most {
            return;
        }
        match self.act.take() {
            Some(act) => act(&self.got, line),
            None => line.ack(publish.tag),
        }
    }
}
