//! How much of what is free one of many may have: the rule for places of plugins' calls and for slots of deliveries.

/// At most one in so many of what is free.
const PART_OF_FREE: usize = 8;

/// How many of something one may have at most, while so many of all are free: one in eight of those as long as more than half
/// are free, and one in any case.
///
/// So however many the others would like to have, there is one for whoever has none, as long as those who have some are
/// fewer than half of all: the second half goes only to those who had none. Whoever is alone has nearly an eighth of all.
#[must_use]
pub fn fair_share(free: usize, all: usize) -> usize {
    if free > all / 2 { (free / PART_OF_FREE).max(1) } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order in which they take and give back: while those who have something are fewer than half of
        /// all, one is free for whoever has none.
        #[test]
        fn who_has_none_finds_one(
            all in 1_usize..300,
            moves in proptest::collection::vec((0_usize..400, any::<bool>(), 1_usize..60), 1..1_000),
        ) {
            let mut taken = vec![0_usize; 400];
            for (who, takes, times) in moves {
                for _ in 0..times {
                    let free = all - taken.iter().sum::<usize>();
                    if !takes {
                        taken[who] = taken[who].saturating_sub(1);
                    } else if free > 0 && taken[who] < fair_share(free, all) {
                        taken[who] += 1;
                    }
                }
                let (have_some, in_all) = (taken.iter().filter(|count| **count > 0).count(), taken.iter().sum());
                prop_assert!(have_some >= all / 2 || all > in_all, "{have_some} have all {all}");
            }
        }
    }
}
