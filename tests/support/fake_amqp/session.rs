//! One connection of the fake server: the handshake, the methods that a gateway uses, deliveries and heartbeats.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::{
    AMQPClass, BasicProperties, basic, channel, confirm, connection, exchange, queue,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::interval;

use super::codec::{self, Reader};
use super::script::{Consumer, End, Line, Script, Voice};
use super::world::{Event, Message, Publish, World};
use super::{Greeting, Manner};

/// Something that a test wants done on a connection.
pub type Command = Box<dyn FnOnce(&mut Line<'_>) + Send>;

/// A channel, as far as it matters.
#[derive(Default)]
struct Channel {
    prefetch: u16,
    confirms: bool,
    /// The publishing sequence number of the last message that came in.
    published: u64,
    /// The tag of the last delivery.
    delivered: u64,
    /// A message of which more is to come.
    coming: Option<(Publish, u64)>,
}

/// A connection with a client.
pub struct Session {
    pub number: usize,
    pub world: Arc<World>,
    pub script: Arc<Mutex<Box<dyn Script>>>,
    pub manner: Manner,
    voice: Voice,
    channels: BTreeMap<u16, Channel>,
    frame_max: usize,
}

impl Session {
    pub fn new(
        number: usize,
        world: Arc<World>,
        script: Arc<Mutex<Box<dyn Script>>>,
        manner: Manner,
    ) -> Self {
        let frame_max = manner.frame_max as usize;
        Self { number, world, script, manner, voice: Voice::default(), channels: BTreeMap::new(), frame_max }
    }

    /// Talks until either side has had enough. `name` is called with the name that the client gives the connection.
    pub async fn run(
        mut self,
        stream: TcpStream,
        mut commands: mpsc::Receiver<Command>,
        name: impl Fn(&str),
    ) {
        stream.set_nodelay(true).expect("a socket");
        let (read, mut write) = stream.into_split();
        let mut reader = Reader::new(read);
        let mut changes = self.world.changes();
        let beat = if self.manner.heartbeat == 0 { 3_600 } else { u64::from(self.manner.heartbeat) };
        let mut beats = interval(Duration::from_millis(beat * 500));
        let mut ticks = interval(self.manner.tick);
        while self.say(&mut write).await {
            tokio::select! {
                frame = reader.frame() => match frame {
                    Some((frame, length)) => self.hear(frame, length, &name),
                    None => break,
                },
                Some(command) = commands.recv() => self.obey(command),
                _ = changes.changed() => {}
                _ = beats.tick() => codec::write(&mut self.voice.out, &AMQPFrame::Heartbeat),
                _ = ticks.tick() => self.tick(),
            }
            self.deliver();
        }
        let channels: Vec<u16> = self.channels.keys().copied().collect();
        for channel in channels {
            self.world.close((self.number, channel));
        }
        self.world.note(Event::Ended { connection: self.number });
        if self.voice.end == Some(End::Reset) {
            write.as_ref().set_zero_linger().expect("a socket");
        }
    }

    /// Writes what is to be said; whether the connection goes on.
    async fn say(&mut self, write: &mut OwnedWriteHalf) -> bool {
        let out = std::mem::take(&mut self.voice.out);
        let written = self.voice.is_silent || write.write_all(&out).await.is_ok();
        written && self.voice.end.is_none()
    }

    fn line(&mut self, channel: u16) -> Line<'_> {
        Line { place: (self.number, channel), world: &self.world, voice: &mut self.voice }
    }

    fn breach(&mut self, what: String) {
        self.world.note(Event::Breach(what));
        self.voice.end = Some(End::HangUp);
    }

    /// A test's wish is about the channel that confirms, or the one that consumes.
    fn obey(&mut self, command: Command) {
        let confirming = self.channels.iter().find(|(_, channel)| channel.confirms).map(|(id, _)| *id);
        let consuming = self.voice.consumers.first().map(|consumer| consumer.channel);
        let channel = confirming.or(consuming).unwrap_or(0);
        command(&mut self.line(channel));
    }

    fn tick(&mut self) {
        let script = self.script.clone();
        let confirming: Vec<u16> =
            self.channels.iter().filter(|(_, channel)| channel.confirms).map(|(id, _)| *id).collect();
        for channel in confirming {
            if !self.is_closed(channel) {
                script.lock().expect("sound").tick(&mut self.line(channel));
            }
        }
    }

    fn is_closed(&self, channel: u16) -> bool {
        self.voice.closed.contains(&0) || self.voice.closed.contains(&channel)
    }

    fn hear(&mut self, frame: AMQPFrame, length: usize, name: &impl Fn(&str)) {
        if self.voice.is_silent {
            return;
        }
        if length > self.frame_max {
            return self.breach(format!("a frame of {length} bytes, and {} are allowed", self.frame_max));
        }
        match frame {
            AMQPFrame::ProtocolHeader(_) => self.greet(),
            AMQPFrame::Method(_, AMQPClass::Connection(method)) => self.connection(method, name),
            AMQPFrame::Method(channel, AMQPClass::Channel(channel::AMQPMethod::CloseOk(_))) => {
                self.voice.closed.remove(&channel);
                self.channels.remove(&channel);
            }
            frame if self.is_closed(frame.channel_id()) => {}
            AMQPFrame::Method(channel, AMQPClass::Channel(method)) => self.channel(channel, method),
            AMQPFrame::Method(channel, AMQPClass::Basic(method)) => self.basic(channel, method),
            AMQPFrame::Method(channel, method) => self.declare(channel, method),
            AMQPFrame::Header(channel, header) => {
                self.content(channel, Some(header.properties), header.body_size, &[]);
            }
            AMQPFrame::Body(channel, piece) => self.content(channel, None, 0, &piece),
            AMQPFrame::Heartbeat | AMQPFrame::InvalidHeartbeat(_) => {}
        }
    }

    fn greet(&mut self) {
        match self.manner.greeting {
            Greeting::Proper | Greeting::HangUpAfterStart | Greeting::Refusal => {}
            Greeting::Nothing => return,
            Greeting::Garbage => {
                return self.voice.out.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
            Greeting::HangUp => return self.voice.end = Some(End::HangUp),
        }
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: Default::default(),
            mechanisms: "PLAIN".into(),
            locales: "en_US".into(),
        };
        codec::write_connection(&mut self.voice.out, connection::AMQPMethod::Start(start));
    }

    fn connection(&mut self, method: connection::AMQPMethod, name: &impl Fn(&str)) {
        use connection::AMQPMethod as Method;
        if let Method::StartOk(start) = method {
            let given = start.client_properties.inner().get("connection_name");
            let given = given.and_then(|name| name.as_long_string()).map(ToString::to_string);
            let given = given.unwrap_or_default();
            name(&given);
            self.world.note(Event::Opened { connection: self.number, name: given });
            if self.manner.greeting == Greeting::HangUpAfterStart {
                return self.voice.end = Some(End::HangUp);
            }
            if self.manner.greeting == Greeting::Refusal {
                return self.line(0).close_connection_because(403, "ACCESS_REFUSED");
            }
            let Manner { channel_max, frame_max, heartbeat, .. } = self.manner;
            codec::write_connection(
                &mut self.voice.out,
                Method::Tune(connection::Tune { channel_max, frame_max, heartbeat }),
            );
        } else if let Method::TuneOk(tune) = method {
            self.frame_max = tune.frame_max as usize;
        } else if let Method::Open(_) = method {
            codec::write_connection(&mut self.voice.out, Method::OpenOk(connection::OpenOk {}));
        } else if let Method::Close(_) = method {
            codec::write_connection(&mut self.voice.out, Method::CloseOk(connection::CloseOk {}));
            self.voice.end = Some(End::HangUp);
        } else if let Method::CloseOk(_) = method {
            self.voice.end = Some(End::HangUp);
        } else {
            self.breach(format!("unexpected: {method:?}"));
        }
    }

    fn channel(&mut self, id: u16, method: channel::AMQPMethod) {
        use channel::AMQPMethod as Method;
        if let Method::Open(_) = method {
            self.channels.insert(id, Channel::default());
            codec::write_channel(&mut self.voice.out, id, Method::OpenOk(channel::OpenOk {}));
        } else if let Method::Close(_) = method {
            self.channels.remove(&id);
            self.voice.consumers.retain(|consumer| consumer.channel != id);
            self.world.close((self.number, id));
            codec::write_channel(&mut self.voice.out, id, Method::CloseOk(channel::CloseOk {}));
        } else if !matches!(method, Method::FlowOk(_)) {
            self.breach(format!("unexpected: {method:?}"));
        }
    }

    /// Everything can be declared and bound, again and again.
    fn declare(&mut self, id: u16, method: AMQPClass) {
        let answer = if let AMQPClass::Exchange(exchange::AMQPMethod::Declare(_)) = method {
            AMQPClass::Exchange(exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {}))
        } else if let AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) = method {
            let queue = declare.queue;
            let answer = queue::DeclareOk { queue, message_count: 0, consumer_count: 0 };
            AMQPClass::Queue(queue::AMQPMethod::DeclareOk(answer))
        } else if let AMQPClass::Queue(queue::AMQPMethod::Bind(_)) = method {
            AMQPClass::Queue(queue::AMQPMethod::BindOk(queue::BindOk {}))
        } else if let AMQPClass::Confirm(_) = method {
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.confirms = true;
            }
            AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {}))
        } else {
            return self.breach(format!("unexpected: {method:?}"));
        };
        codec::write(&mut self.voice.out, &AMQPFrame::Method(id, answer));
    }

    fn basic(&mut self, id: u16, method: basic::AMQPMethod) {
        use basic::AMQPMethod as Method;
        let place = (self.number, id);
        let Some(channel) = self.channels.get_mut(&id) else {
            // The client library lets the close of a channel overtake what was to be published on it. As RabbitMQ
            // does, the connection is ended; the message was never there.
            return self.voice.end = Some(End::HangUp);
        };
        if let Method::Qos(qos) = method {
            channel.prefetch = qos.prefetch_count;
            codec::write_basic(&mut self.voice.out, id, Method::QosOk(basic::QosOk {}));
        } else if let Method::Consume(consume) = method {
            let tag = format!("consumer-{id}");
            self.voice.consumers.push(Consumer {
                channel: id,
                tag: tag.clone(),
                queue: consume.queue.to_string(),
            });
            if self.manner.delivers_before_consume_ok {
                self.deliver();
            }
            let answer = basic::ConsumeOk { consumer_tag: tag.into() };
            codec::write_basic(&mut self.voice.out, id, Method::ConsumeOk(answer));
            self.world.note(Event::Consuming { place, queue: consume.queue.to_string() });
        } else if let Method::Cancel(cancel) = method {
            self.voice.consumers.retain(|consumer| consumer.tag != cancel.consumer_tag.as_str());
            let answer = basic::CancelOk { consumer_tag: cancel.consumer_tag };
            codec::write_basic(&mut self.voice.out, id, Method::CancelOk(answer));
        } else if let Method::Ack(ack) = method {
            self.world.settle(place, ack.delivery_tag, ack.multiple, true);
        } else if let Method::Nack(nack) = method {
            self.world.settle(place, nack.delivery_tag, nack.multiple, false);
        } else if let Method::Publish(publish) = method {
            let publish = Publish {
                place,
                tag: channel.published + 1,
                exchange: publish.exchange.to_string(),
                routing_key: publish.routing_key.to_string(),
                mandatory: publish.mandatory,
                properties: BasicProperties::default(),
                body: Vec::new(),
            };
            channel.coming = Some((publish, 0));
        } else {
            self.breach(format!("unexpected: {method:?}"));
        }
    }

    /// Takes up the header or a piece of the body of a message; the script hears of it when it is whole.
    fn content(&mut self, id: u16, properties: Option<BasicProperties>, size: u64, piece: &[u8]) {
        let coming = self.channels.get_mut(&id).and_then(|channel| channel.coming.take());
        let Some((mut publish, mut left)) = coming else {
            return self.voice.end = Some(End::HangUp);
        };
        if let Some(properties) = properties {
            publish.properties = properties;
            left = size;
        }
        publish.body.extend_from_slice(piece);
        left -= u64::try_from(piece.len()).expect("short");
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if left > 0 {
            channel.coming = Some((publish, left));
            return;
        }
        channel.published = publish.tag;
        // The pulse of a generation and the audit's probes are no test's business. The audit's full queue refuses.
        let key = &publish.routing_key;
        if key == "pulse" || key.contains(".probe.") {
            return self.line(id).ack(publish.tag);
        }
        if key.ends_with(".rung.audit") {
            return self.line(id).nack(publish.tag);
        }
        // Who has seen it in the record can change the script without changing what happens to this one.
        let script = self.script.clone();
        let mut script = script.lock().expect("sound");
        self.world.published(publish.clone());
        script.published(&publish, &mut self.line(id));
    }

    /// Sends what is ready to the consumers that have room for it.
    fn deliver(&mut self) {
        let Self { number, world, manner, voice, channels, frame_max, .. } = self;
        if voice.is_silent || voice.end.is_some() || voice.closed.contains(&0) {
            return;
        }
        for Consumer { channel: id, tag: consumer, queue } in &voice.consumers {
            let Some(channel) = channels.get_mut(id) else { continue };
            let place = (*number, *id);
            let most = if manner.ignores_prefetch { usize::MAX } else { usize::from(channel.prefetch) };
            while world.out_at(place) < most && !voice.closed.contains(id) {
                let Some(message) = world.hand_out(queue, place, channel.delivered + 1) else { break };
                channel.delivered += 1;
                let Message { exchange, routing_key, properties, body, redelivered, piece, .. } = message;
                let deliver = basic::Deliver {
                    consumer_tag: consumer.as_str().into(),
                    delivery_tag: channel.delivered,
                    redelivered,
                    exchange: exchange.into(),
                    routing_key: routing_key.into(),
                };
                codec::write_basic(&mut voice.out, *id, basic::AMQPMethod::Deliver(deliver));
                codec::write_content(
                    &mut voice.out,
                    *id,
                    &properties,
                    &body,
                    piece.map_or(*frame_max, |piece| piece + 8),
                );
            }
        }
    }
}
