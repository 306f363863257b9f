//! Channels whose next transaction is being made. The ledger does not know of it before it is recorded, and the next
//! look must not plan it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use toll_protocol::ChannelId;

use crate::plan::Action;
use crate::planner::Task;

/// What is planned and not yet on record.
#[derive(Default)]
pub(crate) struct Claims(Mutex<HashMap<ChannelId, bool>>);

/// The channels of one plan. They are free again when this is dropped.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    channels: Vec<ChannelId>,
}

impl Claims {
    /// Claims the channels of `tasks`, none of which is claimed yet.
    pub(crate) fn take(self: &Arc<Self>, tasks: &[Task]) -> Claim {
        let claimed = tasks.iter().map(|task| (task.record.id, ends_service(&task.action)));
        self.lock().extend(claimed);
        Claim { claims: Arc::clone(self), channels: tasks.iter().map(|task| task.record.id).collect() }
    }

    /// The channels, and whether what is planned ends their service.
    pub(crate) fn all(&self) -> HashMap<ChannelId, bool> {
        self.lock().clone()
    }

    /// How many channels there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = self.claims.lock();
        for channel in &self.channels {
            claims.remove(channel);
        }
    }
}

/// A rearm may turn out to be a close.
fn ends_service(action: &Action) -> bool {
    matches!(action, Action::Close(_) | Action::Seal | Action::Distribute | Action::Rearm(_))
}
