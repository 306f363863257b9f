//! Why an instruction is refused.

use anchor_lang::prelude::*;

/// Custom error codes, grouped by what was being checked. A code keeps its meaning for ever; codes that nothing
/// returns stay reserved.
#[error_code(offset = 0)]
#[derive(Debug, PartialEq, Eq)]
pub enum ChannelError {
    #[msg("reserved")]
    NotImplemented = 0,
    #[msg("a required signature is missing")]
    MissingRequiredSignature = 1,
    #[msg("the channel's status does not allow this")]
    InvalidChannelStatus = 2,
    #[msg("the account is not a channel")]
    InvalidAccountDiscriminator = 3,
    #[msg("the channel has a layout that this program does not know")]
    UnsupportedChannelVersion = 4,
    #[msg("not the channel's payer")]
    InvalidChannelPayer = 5,
    #[msg("not the channel's payee")]
    InvalidChannelPayee = 6,
    #[msg("not the channel's mint")]
    InvalidChannelMint = 7,
    #[msg("not this program's event authority")]
    InvalidEventAuthority = 8,
    #[msg("the instruction takes another number of accounts")]
    NotEnoughAccountKeys = 9,
    #[msg("not the channel's rent payer")]
    InvalidChannelRentPayer = 10,

    #[msg("not the channel's escrow: its associated token account, initialized and its own")]
    ChannelAccountMismatch = 50,
    #[msg("the escrow is not a token account")]
    InvalidChannelTokenAccount = 51,
    #[msg("the escrow carries a token extension that channels do not allow")]
    InvalidChannelTokenExtensions = 52,
    #[msg("not a mint of this token program")]
    MintAccountMismatch = 53,
    #[msg("neither SPL Token nor Token-2022")]
    InvalidMintTokenProgram = 54,
    #[msg("the mint's padding is not zero")]
    MalformedMintTokenAccountData = 55,
    #[msg("the mint carries a token extension that channels do not allow")]
    MalformedMintTokenExtensions = 56,
    #[msg("not the payer's associated token account, initialized and its own")]
    PayerAccountMismatch = 57,
    #[msg("the payer's account is not a token account")]
    InvalidPayerTokenAccount = 58,
    #[msg("the payer's token account carries a token extension that channels do not allow")]
    InvalidPayerTokenExtensions = 59,
    #[msg("not the payee's associated token account")]
    PayeeAccountMismatch = 60,
    #[msg("the payee's account is not a token account")]
    InvalidPayeeTokenAccount = 61,
    #[msg("the payee's token account has malformed extensions")]
    InvalidPayeeTokenExtensions = 62,

    #[msg("the amount is zero")]
    DepositMustBeNonZero = 200,
    #[msg("the grace period is zero")]
    GracePeriodMustBeNonZero = 201,

    #[msg("no ed25519 verification right before this instruction")]
    MissingEd25519Verification = 230,
    #[msg("the ed25519 instruction does not have the one shape that vouchers use")]
    MalformedEd25519Instruction = 231,
    #[msg("the voucher is for another channel")]
    VoucherChannelMismatch = 232,
    #[msg("the voucher has expired")]
    VoucherExpired = 233,
    #[msg("the voucher is not above what is settled")]
    VoucherWatermarkNotMonotonic = 234,
    #[msg("the voucher is above the deposit")]
    VoucherOverDeposit = 235,
    #[msg("reserved")]
    VoucherMessageMismatch = 236,
    #[msg("the voucher is not signed by the channel's authorized signer")]
    VoucherSignerMismatch = 237,
    #[msg("the signed message is not of the kind that this instruction takes")]
    VoucherBadMagic = 238,

    #[msg("more than 32 recipients")]
    InvalidRecipientCount = 260,
    #[msg("a share is zero, the shares exceed the whole, or the channel is its own recipient")]
    InvalidSplitConfig = 261,
    #[msg("reserved")]
    DistributionPartsOverflow = 262,
    #[msg("a recipient is listed twice")]
    DuplicateRecipient = 263,
    #[msg("reserved")]
    DistributionAmountOverflow = 264,
    #[msg("reserved")]
    DistributionPreimageLengthOverflow = 265,

    #[msg("the channel's address does not follow from its terms")]
    ChannelAddressMismatch = 2000,
    #[msg("payer and payee are the same")]
    PayerPayeeMustDiffer = 2001,
    #[msg("the authorized signer is not a point of the curve, so it cannot sign")]
    InvalidAuthorizedSigner = 2002,
    #[msg("the open slot is in the future or too old")]
    OpenSlotOutOfWindow = 2003,

    #[msg("the deposit would overflow")]
    TopUpDepositOverflow = 2100,
    #[msg("the end of the grace period overflows")]
    SealDeadlineOverflow = 2200,
    #[msg("the grace period is still running")]
    SealGracePeriodNotElapsed = 2201,
    #[msg("the payer was refunded before")]
    PayerAlreadyWithdrawn = 2300,
    #[msg("more is settled than was deposited")]
    RefundCalculationOverflow = 2301,

    #[msg("only open and sealed channels pay out")]
    ChannelNotDistributable = 2400,
    #[msg("not the treasury's associated token account, initialized and its own")]
    TreasuryAccountMismatch = 2401,
    #[msg("the treasury's account is not a token account")]
    InvalidTreasuryTokenAccount = 2402,
    #[msg("the treasury's token account carries a token extension that channels do not allow")]
    InvalidTreasuryTokenExtensions = 2403,
    #[msg("not the recipient's associated token account")]
    RecipientAccountMismatch = 2404,
    #[msg("the recipient's account is not a token account")]
    InvalidRecipientTokenAccount = 2405,
    #[msg("the recipient's token account has malformed extensions")]
    InvalidRecipientTokenExtensions = 2406,
    #[msg("not the splits that the channel was opened with")]
    InvalidDistributionHash = 2407,
    #[msg("everything settled is paid out already")]
    NothingToDistribute = 2408,
    #[msg("not one token account per recipient")]
    RecipientAccountCountMismatch = 2409,
    #[msg("more is paid out than settled")]
    DistributePoolOverflow = 2410,
    #[msg("the escrow holds less than is owed")]
    DistributeBalanceCalculationOverflow = 2411,
    #[msg("the rent payer's lamports overflow")]
    RentPayerBalanceOverflow = 2412,
    #[msg("reserved")]
    DistributeTransferQueueOverflow = 2413,
    #[msg("the channel's address must stay taken for longer")]
    ChannelCloseTooEarly = 2414,

    // From here on, codes that the reference program does not know.
    #[msg("the signed batch is not as long as its count says, or names no channel or more than 60")]
    InvalidBatchSize = 3000,
    #[msg("not one account per channel of the signed batch, with the two for events or without")]
    BatchAccountCountMismatch = 3001,
    #[msg("the channels are not in strictly ascending order")]
    BatchChannelsNotAscending = 3002,
    #[msg("the batch was signed for other channels, or for another program")]
    BatchChannelsMismatch = 3003,
    #[msg("a target of the batch is zero")]
    BatchTargetMustBeNonZero = 3004,
    #[msg("nothing is settled, due or refundable that would begin another session")]
    NothingToRearm = 3100,
    #[msg("the amount is above the ceiling")]
    AmountOverVoucher = 3200,
}

impl ChannelError {
    /// This error as an `Err`.
    pub fn err<T>(self) -> Result<T> {
        Err(self.into())
    }
}
