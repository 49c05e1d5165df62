//! What is swept: making the pipeline, changing it, and deleting it.

use crate::{
    place::{CHANGES, Ended, Place, STACK, UPDATE},
    teardown_leaves_nothing, world,
};

/// A command that is run again until it succeeds, whatever happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// From nothing to everything.
    Up,
    /// From everything to everything in another shape: some is changed, some is new, some goes.
    Update,
    /// From everything to nothing.
    Teardown,
}

impl Work {
    pub(crate) const ALL: [Self; 3] = [Self::Up, Self::Update, Self::Teardown];

    /// Returns the command.
    pub(crate) async fn args(self, place: &Place) -> Vec<String> {
        match self {
            Self::Up | Self::Update => vec!["up".to_owned(), STACK.to_owned()],
            Self::Teardown => {
                let verb = ["teardown".to_owned(), STACK.to_owned()];
                verb.into_iter().chain(place.consent().await).collect()
            }
        }
    }

    /// Asks for it, in a world that is as it was before.
    pub(crate) async fn begin(self, place: &Place) {
        if self == Self::Up {
            // The first run of all is without a state, and looks for what a lost one may have named.
            place.forget().await;
        }
        if self == Self::Update {
            place.update();
        }
    }

    /// Checks that it is done, once and in full. `deployed` is what a run that nothing happened to makes of the file as it
    /// is before the update.
    pub(crate) async fn check(self, place: &Place, deployed: &[String]) {
        match self {
            Self::Teardown => assert_eq!(world::everything(place).await, [""; 0], "what is left"),
            Self::Up => {
                place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff afterwards");
                assert_eq!(world::everything(place).await, deployed, "the same world, and nothing twice");
            }
            Self::Update => {
                place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff afterwards");
                let updated = world::everything(place).await;
                let gone = deployed.iter().filter(|it| !updated.contains(it)).count();
                assert_eq!(
                    (gone, updated.len()),
                    (4, deployed.len() - 3),
                    "one job and its three alarms less, one log group more: {updated:#?}"
                );
            }
        }
    }

    /// Brings the world back to where this begins.
    pub(crate) async fn reset(self, place: &Place) {
        match self {
            Self::Up => teardown_leaves_nothing(place).await,
            Self::Update => {
                undo(place);
                place.run(&["up", STACK]).await.exits(0);
            }
            Self::Teardown => {
                place.run(&["up", STACK]).await.exits(0);
            }
        }
    }

    /// Brings the world to where the next of [`Work::ALL`] begins.
    pub(crate) async fn leave(self, place: &Place) {
        if self == Self::Update {
            self.reset(place).await;
        }
    }
}

/// Takes the update back, in the stack's file alone.
fn undo(place: &Place) {
    place.edit(|it| {
        let (file, _) = it.split_once(UPDATE).expect("it was updated");
        CHANGES.iter().fold(file.to_owned(), |file, (from, to)| file.replace(to, from))
    });
}

/// Says how a run ended that was disturbed: done, or stopped with a clear word on what to do.
pub(crate) fn told_clearly(ended: &Ended) {
    let code = ended.code;
    assert!(matches!(code, Some(0 | 5 | 6)), "{code:?}: {}\n{}", ended.out, ended.err);
    if code != Some(0) {
        assert!(ended.err.contains("help:"), "it says what to do next: {}", ended.err);
    }
}
