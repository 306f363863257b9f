//! Opening a channel: the deposit, signed by the payer alone.

use std::time::Instant;

use rand::RngCore;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::key_file;
use toll_protocol::{
    Action, Agreement, Amount, Authentication, Challenge, ChannelId, ChannelTerms, Credential, Open,
    OpenAction, RefusalCode,
};

use crate::channel::{ChannelStage, Pending, SavedChannel};
use crate::clock::unix_now;
use crate::conversation::Conversation;
use crate::credential::{authorization, header_of, sign_as_payer};
use crate::error::PayError;
use crate::offer::Offer;
use crate::policy::Policy;
use crate::request::Request;
use crate::response::{Refusal, Response};
use crate::voucher_key::VoucherKeySeeds;

/// How often a deposit is signed anew because its blockhash expired before it landed, or nobody sponsors it.
const OPEN_ATTEMPTS: usize = 2;

/// How often the same credential is sent again while the server cannot say how it went.
const SUBMIT_ATTEMPTS: usize = 6;

/// What became of a deposit that was sent.
pub(crate) enum Opening {
    /// The channel is open.
    Opened(Box<SavedChannel>),
    /// Its blockhash expired; nothing landed.
    BlockhashExpired,
    /// The server does not sponsor it, and offers that the payer pays for fees and rent.
    Unsponsored(Box<Offer>),
    /// The server does not know it.
    Unknown(Refusal),
}

impl Conversation<'_> {
    /// Opens a channel for `request` in answer to `offer`.
    ///
    /// Everything is checked before the deposit is signed; the signed deposit is on disk before it is sent.
    pub(crate) async fn open(&self, request: &Request, offer: Offer) -> Result<SavedChannel, PayError> {
        let mut offer = offer;
        for _ in 0..OPEN_ATTEMPTS {
            let mut channel = self.sign_deposit(request, &mut offer).await?;
            self.book.put(channel.clone())?;
            let opening = self.submit_open(request, channel.clone()).await?;
            if let Opening::Opened(channel) = opening {
                return Ok(*channel);
            }
            // Nothing is escrowed, if the server speaks the truth. If it lands the deposit all the same, the
            // record is all that leads to it.
            channel.stage = ChannelStage::Abandoned;
            channel.pending = None;
            self.book.put(channel)?;
            offer = match opening {
                Opening::Unknown(refusal) => return Err(refusal.into()),
                Opening::Unsponsored(another) => *another,
                _ => self.fresh_offer(request).await?,
            };
        }
        Err(PayError::Endless)
    }

    /// Checks the offer and the funds, then signs. A stale offer is replaced first.
    async fn sign_deposit(&self, request: &Request, offer: &mut Offer) -> Result<SavedChannel, PayError> {
        self.payer.policy.check(offer)?;
        let deposit = self.payer.policy.deposit_for(offer)?;
        if let Some(cluster) = &self.payer.cluster {
            cluster.check_network(self.payer.policy.network).await?;
        }
        let token_program = self.token_program(offer).await?;
        let mint = offer.terms.mint;
        self.check_tokens(&mint, &token_program, deposit).await?;
        if let Some(cluster) = &self.payer.cluster {
            let (_, decimals) = cluster.mint(&mint).await?;
            if decimals != offer.terms.decimals {
                let claimed = offer.terms.decimals;
                return Err(PayError::Malformed(format!(
                    "it gives mint {mint} {claimed} decimals, which has {decimals}"
                )));
            }
        }
        if offer.is_stale(Instant::now()) || offer.terms.recent.is_none() {
            *offer = self.fresh_offer(request).await?;
            self.payer.policy.check(offer)?;
            let checked = (deposit, mint);
            if (self.payer.policy.deposit_for(offer)?, offer.terms.mint) != checked {
                return Err(PayError::Malformed("the terms changed while they were being accepted".into()));
            }
        }
        self.check_sol_for_open(offer, &token_program).await?;
        build(&self.payer.key, request, offer, deposit, token_program, &self.payer.policy)
    }

    /// Sends a signed deposit, and again while the server cannot say how it went.
    pub(crate) async fn submit_open(
        &self,
        request: &Request,
        mut channel: SavedChannel,
    ) -> Result<Opening, PayError> {
        let Some(Pending::Open { authorization }) = channel.pending.clone() else {
            return Ok(Opening::Opened(Box::new(channel)));
        };
        for attempt in 1..=SUBMIT_ATTEMPTS {
            let response = self.send(request, &[header_of(&authorization)]).await?;
            if response.status.is_success() || says_opened(&response) {
                if let Some(receipt) = response.receipt()? {
                    self.take_receipt(&mut channel, &receipt)?;
                }
                channel.stage = ChannelStage::Open;
                channel.pending = None;
                self.book.put(channel.clone())?;
                return Ok(Opening::Opened(Box::new(channel)));
            }
            let refusal = response.refusal();
            match response.status.as_u16() {
                503 if attempt < SUBMIT_ATTEMPTS => tokio::time::sleep(response.retry_after()).await,
                402 if refusal.code() == Some(RefusalCode::BlockhashExpired) => {
                    return Ok(Opening::BlockhashExpired);
                }
                402 if refusal.code() == Some(RefusalCode::Unsponsored) => {
                    let offer = Offer::from_headers(&response.headers, &channel.url, unix_now())?;
                    return Ok(Opening::Unsponsored(Box::new(offer)));
                }
                400..=499 if response.status.as_u16() != 429 => return Ok(Opening::Unknown(refusal)),
                _ => return Err(refusal.into()),
            }
        }
        Err(PayError::Endless)
    }

    async fn token_program(&self, offer: &Offer) -> Result<Pubkey, PayError> {
        match (offer.terms.token_program, &self.payer.cluster) {
            (Some(program), _) => Ok(program),
            (None, Some(cluster)) => Ok(cluster.mint(&offer.terms.mint).await?.0),
            (None, None) => {
                Err(PayError::Malformed("it names no token program, and no RPC may be asked".into()))
            }
        }
    }
}

/// The proof that uses of an operator-signed session carry. Signatures are deterministic: it is always the same one.
pub(crate) fn prove(key: &Keypair, channel: &ChannelId, opening: &Challenge) -> Authentication {
    Authentication::sign(channel, &opening.id, &key_file::voucher_key(key))
}

/// `pay gate` and its kin answer an open with a 402 that has no challenge but names the next step.
fn says_opened(response: &Response) -> bool {
    let error = serde_json::from_slice::<serde_json::Value>(&response.body)
        .ok()
        .and_then(|body| Some(body.get("error")?.as_str()? == "session_voucher_required"));
    response.status.as_u16() == 402 && error == Some(true)
}

/// Signs the deposit as the payer and puts it in a credential.
fn build(
    key: &Keypair,
    request: &Request,
    offer: &Offer,
    deposit: Amount,
    token_program: Pubkey,
    policy: &Policy,
) -> Result<SavedChannel, PayError> {
    let terms = &offer.terms;
    let (Some((blockhash, recent_slot)), Some(grace_period)) = (terms.recent, terms.grace_period) else {
        return Err(PayError::Malformed("it offers no new channel".into()));
    };
    let payer = key.pubkey();
    if payer == terms.payee || terms.fee_payer == Some(payer) {
        return Err(PayError::Malformed("it names this payer as payee or sponsor".into()));
    }
    let salt = rand::rngs::OsRng.next_u64();
    let open_slot = recent_slot.saturating_sub(policy.backdate_slots);
    let authorized_signer = if let Some(operator) = terms.operator {
        operator
    } else if policy.sign_with_payer_key {
        payer
    } else {
        let (program, payee, mint) = (terms.program, terms.payee, terms.mint);
        let seeds = VoucherKeySeeds { program, payee, mint, salt, open_slot };
        seeds.derive(key).verifying_key().to_bytes().into()
    };
    let seeds =
        ChannelTerms { payer, payee: terms.payee, mint: terms.mint, authorized_signer, salt, open_slot };
    let open = Open {
        agreement: Agreement {
            program: terms.program,
            terms: seeds,
            grace_period,
            splits: terms.splits.clone(),
            rent_payer: terms.fee_payer.unwrap_or(payer),
            token_program,
        },
        deposit,
    };
    let channel_id = open.channel_id();
    let transaction = sign_as_payer(key, &open.agreement.rent_payer, &[open.instruction()], blockhash)?;
    let credential = Credential {
        challenge: offer.challenge.clone(),
        action: Action::Open(Box::new(OpenAction {
            channel_id,
            payer,
            payee: seeds.payee,
            mint: seeds.mint,
            authorized_signer,
            salt: seeds.salt,
            deposit,
            grace_period,
            idle_timeout: None,
            open_slot: seeds.open_slot,
            splits: Some(open.agreement.splits.clone()).filter(|splits| !splits.is_empty()),
            authorization_policy: None,
            at_idle: policy.at_idle(offer),
            authentication: terms.operator.map(|_| prove(key, &channel_id, &offer.challenge)),
            transaction,
        })),
        source: None,
    };
    Ok(SavedChannel {
        channel_id,
        origin: request.origin(),
        url: request.url.to_string(),
        method: request.method.to_string(),
        network: terms.network,
        program: terms.program,
        payer,
        payee: seeds.payee,
        mint: seeds.mint,
        token_program,
        decimals: terms.decimals,
        authorized_signer,
        operated: terms.operator.is_some(),
        rent_payer: open.agreement.rent_payer,
        salt: seeds.salt,
        open_slot: seeds.open_slot,
        grace_period_seconds: grace_period,
        splits: open.agreement.splits,
        deposit,
        price: terms.price,
        signed: Amount::ZERO,
        accepted: Amount::ZERO,
        spent: Amount::ZERO,
        stage: ChannelStage::Opening,
        challenge: offer.challenge.clone(),
        top_up_blockhash: None,
        pending: Some(Pending::Open { authorization: authorization(&credential)? }),
        unanswered: Vec::new(),
        last_receipt: None,
        opened_at: unix_now(),
        first_deposit: Some(deposit),
        settled: Amount::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use solana_signature::Signature;
    use toll_protocol::{decode_transaction, parse_authorization, static_instructions};

    use crate::offer::testing::offer;
    use crate::voucher_key::signing_key;

    use super::*;

    fn policy() -> Policy {
        Policy::new(toll_protocol::Network::Localnet, Vec::new())
    }

    fn opened(key: &Keypair, backdate_slots: u64) -> (SavedChannel, OpenAction) {
        opened_with(key, &Policy { backdate_slots, ..policy() })
    }

    fn opened_with(key: &Keypair, policy: &Policy) -> (SavedChannel, OpenAction) {
        let request = Request::get("http://h:1/a".parse().unwrap());
        let token_program = toll_protocol::TOKEN_PROGRAM;
        let channel = build(key, &request, &offer(), Amount::new(1_000), token_program, policy).unwrap();
        let Some(Pending::Open { authorization }) = &channel.pending else { panic!("nothing pending") };
        match parse_authorization(authorization).unwrap().unwrap().action {
            Action::Open(action) => (channel, *action),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_payer_signs_for_itself_and_leaves_the_sponsors_place_empty() {
        let key = Keypair::new();
        let (channel, action) = opened(&key, 0);

        let transaction = decode_transaction(&action.transaction).unwrap();
        assert_eq!(transaction.message.static_account_keys()[0], channel.rent_payer);
        assert_eq!(transaction.signatures[0], Signature::default());
        assert!(transaction.signatures[1].verify(key.pubkey().as_ref(), &transaction.message.serialize()));
    }

    #[test]
    fn the_transaction_opens_the_declared_channel_and_nothing_else() {
        let key = Keypair::new();
        let (channel, action) = opened(&key, 0);

        let transaction = decode_transaction(&action.transaction).unwrap();
        let instructions = static_instructions(&transaction).unwrap();
        assert_eq!(instructions.len(), 1);
        let accounts: Vec<Pubkey> = instructions[0].accounts.iter().map(|meta| meta.pubkey).collect();
        let open = Open::decode(&instructions[0].data, &accounts).unwrap();
        assert_eq!(open.channel_id(), action.channel_id);
        assert_eq!(open.agreement.terms, channel.terms());
        assert_eq!(open.deposit, Amount::new(1_000));
        assert_eq!(*transaction.message.recent_blockhash(), offer().terms.recent.unwrap().0);
    }

    #[test]
    fn the_open_slot_is_the_challenged_one_or_earlier() {
        let key = Keypair::new();
        assert_eq!(opened(&key, 0).0.open_slot, 2_000);
        assert_eq!(opened(&key, 1_400).0.open_slot, 600);
        assert_eq!(opened(&key, 5_000).0.open_slot, 0);
    }

    #[test]
    fn vouchers_are_signed_by_the_channels_own_key_unless_asked_otherwise() {
        let key = Keypair::new();
        let (channel, action) = opened(&key, 0);
        assert_ne!(channel.authorized_signer, key.pubkey());
        assert_eq!(action.authorized_signer, channel.authorized_signer);
        // All it takes to sign again is in the channel's terms.
        let signer = signing_key(&key, &channel).unwrap().verifying_key().to_bytes();
        assert_eq!(channel.authorized_signer.to_bytes(), signer);
        assert_ne!(opened(&key, 0).0.authorized_signer, channel.authorized_signer);

        let asked = Policy { sign_with_payer_key: true, ..policy() };
        let (channel, _) = opened_with(&key, &asked);
        assert_eq!(channel.authorized_signer, key.pubkey());
        let signer = signing_key(&key, &channel).unwrap();
        assert_eq!(signer.to_bytes(), *key.secret_bytes());
    }

    #[test]
    fn a_channel_of_another_key_is_not_signed_for() {
        let (channel, _) = opened(&Keypair::new(), 0);
        let signed = signing_key(&Keypair::new(), &channel);
        assert!(matches!(signed, Err(PayError::ForeignSigner { .. })));
    }

    #[test]
    fn two_opens_of_one_offer_have_different_channels() {
        let key = Keypair::new();
        assert_ne!(opened(&key, 0).0.channel_id, opened(&key, 0).0.channel_id);
    }

    #[test]
    fn a_challenge_naming_the_payer_as_payee_or_sponsor_is_refused() {
        let key = Keypair::new();
        let request = Request::get("http://h:1/a".parse().unwrap());
        let (mut as_payee, mut as_sponsor) = (offer(), offer());
        as_payee.terms.payee = key.pubkey();
        as_sponsor.terms.fee_payer = Some(key.pubkey());
        for offer in [as_payee, as_sponsor] {
            let built =
                build(&key, &request, &offer, Amount::new(1), toll_protocol::TOKEN_PROGRAM, &policy());
            assert!(matches!(built, Err(PayError::Malformed(_))));
        }
    }
}
