//! The program's error codes, typed from its interface description.

use solana_instruction::error::InstructionError;

/// A custom error code of the channel program.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum ChannelError {
    NotImplemented = 0,
    MissingRequiredSignature = 1,
    InvalidChannelStatus = 2,
    InvalidAccountDiscriminator = 3,
    UnsupportedChannelVersion = 4,
    InvalidChannelPayer = 5,
    InvalidChannelPayee = 6,
    InvalidChannelMint = 7,
    InvalidEventAuthority = 8,
    NotEnoughAccountKeys = 9,
    InvalidChannelRentPayer = 10,

    ChannelAccountMismatch = 50,
    InvalidChannelTokenAccount = 51,
    InvalidChannelTokenExtensions = 52,
    MintAccountMismatch = 53,
    InvalidMintTokenProgram = 54,
    MalformedMintTokenAccountData = 55,
    MalformedMintTokenExtensions = 56,
    PayerAccountMismatch = 57,
    InvalidPayerTokenAccount = 58,
    InvalidPayerTokenExtensions = 59,
    PayeeAccountMismatch = 60,
    InvalidPayeeTokenAccount = 61,
    InvalidPayeeTokenExtensions = 62,

    DepositMustBeNonZero = 200,
    GracePeriodMustBeNonZero = 201,

    MissingEd25519Verification = 230,
    MalformedEd25519Instruction = 231,
    VoucherChannelMismatch = 232,
    VoucherExpired = 233,
    VoucherWatermarkNotMonotonic = 234,
    VoucherOverDeposit = 235,
    VoucherMessageMismatch = 236,
    VoucherSignerMismatch = 237,
    VoucherBadMagic = 238,

    InvalidRecipientCount = 260,
    InvalidSplitConfig = 261,
    DistributionPartsOverflow = 262,
    DuplicateRecipient = 263,
    DistributionAmountOverflow = 264,
    DistributionPreimageLengthOverflow = 265,

    ChannelAddressMismatch = 2000,
    PayerPayeeMustDiffer = 2001,
    InvalidAuthorizedSigner = 2002,
    OpenSlotOutOfWindow = 2003,

    TopUpDepositOverflow = 2100,

    SealDeadlineOverflow = 2200,
    SealGracePeriodNotElapsed = 2201,

    PayerAlreadyWithdrawn = 2300,
    RefundCalculationOverflow = 2301,

    ChannelNotDistributable = 2400,
    TreasuryAccountMismatch = 2401,
    InvalidTreasuryTokenAccount = 2402,
    InvalidTreasuryTokenExtensions = 2403,
    RecipientAccountMismatch = 2404,
    InvalidRecipientTokenAccount = 2405,
    InvalidRecipientTokenExtensions = 2406,
    InvalidDistributionHash = 2407,
    NothingToDistribute = 2408,
    RecipientAccountCountMismatch = 2409,
    DistributePoolOverflow = 2410,
    DistributeBalanceCalculationOverflow = 2411,
    RentPayerBalanceOverflow = 2412,
    DistributeTransferQueueOverflow = 2413,
    ChannelCloseTooEarly = 2414,

    InvalidBatchSize = 3000,
    BatchAccountCountMismatch = 3001,
    BatchChannelsNotAscending = 3002,
    BatchChannelsMismatch = 3003,
    BatchTargetMustBeNonZero = 3004,
    NothingToRearm = 3100,
    AmountOverVoucher = 3200,
}

impl From<ChannelError> for InstructionError {
    fn from(error: ChannelError) -> Self {
        Self::Custom(error as u32)
    }
}

/// What the program answers when it gets too few accounts or, in spite of the name, too many.
#[allow(deprecated)] // The name in the program's own error type; `MissingAccount` is another code.
pub const NOT_ENOUGH_ACCOUNT_KEYS: InstructionError = InstructionError::NotEnoughAccountKeys;
