//! What payments bought, kept for repeats.

use crate::answer::headers_text;
use crate::engine::params;
use crate::{Ledger, LedgerError, StoredResponse};

impl Ledger {
    /// Keeps the answer that a payment bought for its repeats; without a `response`, or with one that is larger than the
    /// budget of a channel, only that there was one. The first answer stays; false when there is one already.
    pub async fn serve_payment(
        &self,
        challenge_id: &str,
        response: Option<StoredResponse>,
    ) -> Result<bool, LedgerError> {
        let (challenge, now) = (challenge_id.to_owned(), self.now());
        let most = self.settings().max_answer_bytes_per_channel;
        self.write("serve_payment", move |tx| {
            let response = response.as_ref().map(|response| (headers_text(response), response));
            let kept =
                response.filter(|(headers, response)| (headers.len() + response.body.len()) as u64 <= most);
            let served = match kept {
                Some((headers, response)) => tx.execute(
                    "-- keep_payment_answer
                    UPDATE payments
                       SET state = 'served', answer = 'kept', response_status = ?2, response_headers = ?3,
                           response_body = ?4, updated_at = ?5
                     WHERE challenge_id = ?1 AND state = 'landed'",
                    params![challenge, response.status, headers, response.body, now],
                )?,
                None => tx.execute(
                    "-- note_payment_served
                    UPDATE payments SET state = 'served', answer = 'not_kept', updated_at = ?2
                     WHERE challenge_id = ?1 AND state = 'landed'",
                    params![challenge, now],
                )?,
            };
            Ok(served == 1)
        })
        .await
    }
}
