//! A broker that misbehaves on request: a small AMQP 0-9-1 server for orderings that RabbitMQ rarely or never gives.
//!
//! It accepts any user, declares whatever it is asked to, and routes nothing: what is in its queues was put there by
//! the test. What becomes of the messages that come in is decided by a [`Script`]; everything is kept in one record
//! ([`World`]), which [`check::check`] holds to the promises.

// The record is printed whole when a test fails: not every field of it is read otherwise.
#![allow(dead_code, unreachable_pub)]

pub mod check;
pub mod codec;
pub mod rig;
pub mod script;
mod session;
pub mod world;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::script::{Line, Plain, Script};
use self::session::{Command, Session};
use self::world::World;

/// What the server says to a client's first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Greeting {
    #[default]
    Proper,
    Nothing,
    Garbage,
    HangUp,
    /// It begins well, hears the user's name, and closes the socket: how old brokers refuse.
    HangUpAfterStart,
    /// The same, with a `connection.close` that says so.
    Refusal,
}

/// How connections are treated from the next one on.
#[derive(Clone, Debug)]
pub struct Manner {
    pub greeting: Greeting,
    pub channel_max: u16,
    pub frame_max: u32,
    /// In seconds; 0 for none.
    pub heartbeat: u16,
    /// How often scripts hear that time passes.
    pub tick: Duration,
    pub delivers_before_consume_ok: bool,
    pub ignores_prefetch: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            greeting: Greeting::Proper,
            channel_max: 2_047,
            frame_max: 131_072,
            heartbeat: 0,
            tick: Duration::from_secs(3_600),
            delivers_before_consume_ok: false,
            ignores_prefetch: false,
        }
    }
}

/// Which of a gateway's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Publishing,
    Consuming,
}

struct Shared {
    world: Arc<World>,
    script: Arc<Mutex<Box<dyn Script>>>,
    manner: Mutex<Manner>,
    accepted: AtomicUsize,
    /// The way to the connections by number, with the names that the client gave them.
    connections: Mutex<HashMap<usize, (String, mpsc::Sender<Command>)>>,
}

/// The server. It ends, with all its connections, when it is dropped.
pub struct FakeAmqp {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

impl FakeAmqp {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            world: World::new(),
            script: Arc::new(Mutex::new(Box::new(Plain))),
            manner: Mutex::new(manner),
            accepted: AtomicUsize::new(0),
            connections: Mutex::default(),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared.clone()));
        Self { address, shared, _accepting: accepting }
    }

    pub fn world(&self) -> &World {
        &self.shared.world
    }

    /// Has publishes treated like that from now on.
    pub fn follow(&self, script: impl Script + 'static) {
        *self.shared.script.lock().expect("sound") = Box::new(script);
    }

    /// Has later connections treated like that.
    pub fn treat(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.manner.lock().expect("sound"));
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.shared.connections.lock().expect("sound").len()
    }

    /// Does something on the gateway's newest connection of that role, if it is there.
    pub async fn on(&self, role: Role, act: impl FnOnce(&mut Line<'_>) + Send + 'static) {
        let suffix = match role {
            Role::Publishing => "publishing",
            Role::Consuming => "consuming",
        };
        let sender = {
            let connections = self.shared.connections.lock().expect("sound");
            let named = connections.iter().filter(|(_, (name, _))| name.ends_with(suffix));
            named.max_by_key(|(number, _)| **number).map(|(_, (_, sender))| sender.clone())
        };
        if let Some(sender) = sender {
            let _connection_is_gone = sender.send(Box::new(act)).await;
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    for number in 0.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        while sessions.try_join_next().is_some() {}
        let manner = shared.manner.lock().expect("sound").clone();
        let session = Session::new(number, shared.world.clone(), shared.script.clone(), manner);
        let (sender, commands) = mpsc::channel(16);
        shared.connections.lock().expect("sound").insert(number, (String::new(), sender));
        let shared = shared.clone();
        sessions.spawn(async move {
            let named = |name: &str| {
                if let Some((known, _)) = shared.connections.lock().expect("sound").get_mut(&number) {
                    *known = name.to_owned();
                }
            };
            session.run(stream, commands, named).await;
            shared.connections.lock().expect("sound").remove(&number);
        });
    }
}
