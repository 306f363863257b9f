//! Working ahead: the next look is taken while what was planned is launched.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Settler;
use super::loops::outcome;
use crate::SettlerError;
use crate::error::survive;
use crate::launch::Launched;

/// A plan that has waited for so long is made anew.
const STALE: Duration = Duration::from_secs(2);

/// The plan that is being launched, if any. Dropping it ends that where it stands, as a crash would.
#[derive(Default)]
pub(super) struct Ahead(JoinSet<Result<Launched, SettlerError>>);

impl Ahead {
    /// Looks and plans while the last plan is being launched, and then launches this one. Where the last one hangs,
    /// this one is dropped: looking goes on.
    pub(super) async fn turn(
        &mut self,
        settler: &Arc<Settler>,
        everything: bool,
    ) -> Result<(), SettlerError> {
        let Some(outlook) = survive("channels", settler.look(everything).await)? else { return Ok(()) };
        if outlook.tasks.is_empty() && outlook.failure.is_none() {
            return Ok(());
        }
        let patience = STALE.saturating_sub(outlook.made_at.elapsed());
        if let Ok(finished) = tokio::time::timeout(patience, self.finish()).await {
            finished?;
            let settler = Arc::clone(settler);
            self.0.spawn(async move { settler.launch(outlook).await });
        }
        Ok(())
    }

    /// Waits until the last plan is launched.
    pub(super) async fn finish(&mut self) -> Result<(), SettlerError> {
        while let Some(ended) = self.0.join_next().await {
            survive("channels", outcome(ended))?;
        }
        Ok(())
    }
}
