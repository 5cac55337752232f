//! The promise, held against the fake server's record: a delivery is acknowledged only when what replaces it was
//! confirmed before, and only once, and only where it was delivered.

use std::collections::HashMap;

use super::world::{Event, Place, Publish};

/// What the record says against the client; empty if it kept the promise.
pub fn check(record: &[Event]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut known = Known::default();
    for event in record {
        match event {
            Event::Published(publish) => known.publishes.push((publish, Fate::Open)),
            Event::Confirmed { place, tag, ack } => known.confirmed(*place, *tag, *ack),
            Event::Returned { place, tag } => known.set((*place, *tag), Fate::Refused),
            Event::Delivered { id, body, .. } => {
                known.delivered.insert(id, (known.publishes.len(), body));
            }
            Event::Acknowledged { place, tag, id } => {
                if let Err(why) = known.is_replaced(id) {
                    broken.push(format!("{id}, at {tag} on {place:?}, was acknowledged, and {why}"));
                }
                // Whatever replaces it replaces it once.
                known.delivered.remove(id.as_str());
            }
            Event::Breach(what) => broken.push(what.clone()),
            Event::HandedBack { .. }
            | Event::Opened { .. }
            | Event::Consuming { .. }
            | Event::Ended { .. } => {}
        }
    }
    broken
}

/// What became of a message that the client published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Confirmed,
    /// Returned or refused, and that stays so.
    Refused,
}

#[derive(Default)]
struct Known<'a> {
    publishes: Vec<(&'a Publish, Fate)>,
    /// By the message's id: how many messages had been published when it was last delivered, and its body.
    delivered: HashMap<&'a str, (usize, &'a [u8])>,
}

impl Known<'_> {
    fn confirmed(&mut self, place: Place, tag: u64, ack: bool) {
        self.set((place, tag), if ack { Fate::Confirmed } else { Fate::Refused });
    }

    fn set(&mut self, (place, tag): (Place, u64), now: Fate) {
        let found = self.publishes.iter_mut().rev().find(|(at, _)| at.place == place && at.tag == tag);
        if let Some((_, fate)) = found
            && *fate != Fate::Refused
        {
            *fate = now;
        }
    }

    /// Since it was delivered, something was published in its place, and wherever that went, the last of it was
    /// confirmed. (What a queue refused is published there again.)
    fn is_replaced(&self, id: &str) -> Result<(), String> {
        let (since, body) = self.delivered.get(id).ok_or("it was not out")?;
        let mut last: HashMap<&str, Fate> = HashMap::new();
        for (publish, fate) in self.publishes.iter().skip(*since) {
            let named = publish.properties.message_id().as_ref().is_some_and(|name| name.as_str() == id);
            if named || publish.body == *body {
                last.insert(&publish.exchange, *fate);
            }
        }
        match last.iter().find(|(_, fate)| **fate != Fate::Confirmed) {
            Some((exchange, fate)) => Err(format!("its successor to {exchange} was {fate:?}")),
            None if last.is_empty() => Err("it had no successor".to_owned()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::BasicProperties;

    use super::*;

    const OUT: Place = (0, 1);
    const IN: Place = (1, 1);

    fn delivered() -> Event {
        Event::Delivered { place: IN, tag: 1, id: "n".to_owned(), body: b"{}".to_vec() }
    }

    fn published(tag: u64, id: &str) -> Event {
        Event::Published(Box::new(Publish {
            place: OUT,
            tag,
            exchange: "delay".to_owned(),
            routing_key: "rung.3000.work".to_owned(),
            mandatory: true,
            properties: BasicProperties::default().with_message_id(id.into()),
            body: Vec::new(),
        }))
    }

    fn confirmed(tag: u64, ack: bool) -> Event {
        Event::Confirmed { place: OUT, tag, ack }
    }

    fn acknowledged() -> Event {
        Event::Acknowledged { place: IN, tag: 1, id: "n".to_owned() }
    }

    fn is_broken(record: &[Event]) -> bool {
        !check(record).is_empty()
    }

    #[test]
    fn what_was_confirmed_may_be_acknowledged() {
        let record = [delivered(), published(1, "n"), confirmed(1, true), acknowledged()];
        assert_eq!(check(&record), Vec::<String>::new());
        let again = [
            delivered(),
            published(1, "n"),
            confirmed(1, false),
            published(2, "n"),
            confirmed(2, true),
            acknowledged(),
        ];
        assert_eq!(check(&again), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_loss_is_seen() {
        let returned = Event::Returned { place: OUT, tag: 1 };
        for record in [
            vec![delivered(), acknowledged()],
            vec![delivered(), published(1, "n"), acknowledged()],
            vec![delivered(), published(1, "n"), acknowledged(), confirmed(1, true)],
            vec![delivered(), published(1, "n"), confirmed(1, false), acknowledged()],
            vec![delivered(), published(1, "n"), returned.clone(), confirmed(1, true), acknowledged()],
            vec![delivered(), published(1, "n"), confirmed(1, true), returned, acknowledged()],
            vec![delivered(), published(1, "other"), confirmed(1, true), acknowledged()],
            vec![published(1, "n"), confirmed(1, true), delivered(), acknowledged()],
            vec![delivered(), published(1, "n"), published(2, "n"), confirmed(1, true), acknowledged()],
            vec![delivered(), published(1, "n"), confirmed(1, true), acknowledged(), acknowledged()],
            vec![Event::Breach("settled on another channel".to_owned())],
        ] {
            assert!(is_broken(&record), "{record:?}");
        }
    }
}
