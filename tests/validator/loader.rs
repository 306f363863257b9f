//! The upgradeable loader, asked as the Solana CLI asks it: a buffer, written in pieces, then deployed or upgraded.

use futures::future::try_join_all;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::{ChainError, Cluster};
use toll_protocol::SYSTEM_PROGRAM;

const LOADER: Pubkey = Pubkey::from_str_const("BPFLoaderUpgradeab1e11111111111111111111111");
const RENT: Pubkey = Pubkey::from_str_const("SysvarRent111111111111111111111111111111111");
const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");

/// What comes before the ELF in a buffer and in a program's data account, and what a program account holds.
const BUFFER_HEADER: usize = 37;
const DATA_HEADER: usize = 45;
const PROGRAM_SIZE: usize = 36;
/// Bytes of the ELF in one transaction.
const PIECE: usize = 1_000;
/// Transactions in flight at once.
const IN_FLIGHT: usize = 32;

/// Somebody with lamports who deploys.
pub(crate) struct Deployer {
    cluster: Cluster,
    authority: Keypair,
}

fn instruction(tag: u32, arguments: &[u8], accounts: Vec<AccountMeta>) -> Instruction {
    let data = [&tag.to_le_bytes()[..], arguments].concat();
    Instruction { program_id: LOADER, accounts, data }
}

/// Where the ELF of `program` lies.
fn data_of(program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[program.as_ref()], &LOADER).0
}

impl Deployer {
    /// One with lamports from the faucet.
    pub(crate) async fn new(rpc_url: &str) -> Self {
        let deployer = Self { cluster: Cluster::new(rpc_url), authority: Keypair::new() };
        let key = deployer.authority.pubkey();
        deployer.cluster.airdrop(&key, 50_000_000_000).await.expect("the faucet gives");
        deployer
    }

    async fn send(&self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<(), ChainError> {
        self.cluster.send(instructions, &self.authority, signers).await.map(|_| ())
    }

    async fn create(&self, account: &Keypair, size: usize) -> Instruction {
        let lamports = self.cluster.rent().await.expect("a rent").minimum(size as u64);
        let mut data = 0u32.to_le_bytes().to_vec();
        data.extend(lamports.to_le_bytes());
        data.extend((size as u64).to_le_bytes());
        data.extend(LOADER.as_ref());
        let accounts = [&self.authority.pubkey(), &account.pubkey()].map(|key| AccountMeta::new(*key, true));
        Instruction { program_id: SYSTEM_PROGRAM, accounts: accounts.to_vec(), data }
    }

    /// A buffer that holds `elf`.
    pub(crate) async fn buffer(&self, elf: &[u8]) -> Pubkey {
        let (buffer, authority) = (Keypair::new(), self.authority.pubkey());
        let create = self.create(&buffer, BUFFER_HEADER + elf.len()).await;
        let accounts =
            vec![AccountMeta::new(buffer.pubkey(), false), AccountMeta::new_readonly(authority, false)];
        self.send(&[create, instruction(0, &[], accounts)], &[&buffer]).await.expect("a buffer is made");
        let pieces: Vec<_> = elf.chunks(PIECE).enumerate().collect();
        for some in pieces.chunks(IN_FLIGHT) {
            let writes = some.iter().map(|(index, piece)| {
                let mut arguments = ((index * PIECE) as u32).to_le_bytes().to_vec();
                arguments.extend((piece.len() as u64).to_le_bytes());
                arguments.extend(*piece);
                let accounts = vec![
                    AccountMeta::new(buffer.pubkey(), false),
                    AccountMeta::new_readonly(authority, true),
                ];
                let write = instruction(1, &arguments, accounts);
                async move { self.send(&[write], &[]).await }
            });
            try_join_all(writes).await.expect("the buffer is written");
        }
        buffer.pubkey()
    }

    /// Makes a program of a buffer, with room for an ELF of `room` bytes.
    pub(crate) async fn deploy(
        &self,
        program: &Keypair,
        buffer: &Pubkey,
        room: usize,
    ) -> Result<(), ChainError> {
        let create = self.create(program, PROGRAM_SIZE).await;
        let key = self.authority.pubkey();
        let accounts = vec![
            AccountMeta::new(key, true),
            AccountMeta::new(data_of(&program.pubkey()), false),
            AccountMeta::new(program.pubkey(), false),
            AccountMeta::new(*buffer, false),
            AccountMeta::new_readonly(RENT, false),
            AccountMeta::new_readonly(CLOCK, false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
            AccountMeta::new_readonly(key, true),
        ];
        let deploy = instruction(2, &(room as u64).to_le_bytes(), accounts);
        self.send(&[create, deploy], &[program]).await
    }

    /// Exchanges a program's ELF for the one in a buffer.
    pub(crate) async fn upgrade(&self, program: &Pubkey, buffer: &Pubkey) -> Result<(), ChainError> {
        let key = self.authority.pubkey();
        let accounts = vec![
            AccountMeta::new(data_of(program), false),
            AccountMeta::new(*program, false),
            AccountMeta::new(*buffer, false),
            AccountMeta::new(key, false),
            AccountMeta::new_readonly(RENT, false),
            AccountMeta::new_readonly(CLOCK, false),
            AccountMeta::new_readonly(key, true),
        ];
        self.send(&[instruction(3, &[], accounts)], &[]).await
    }

    /// Leaves nobody who could upgrade the program.
    pub(crate) async fn finalize(&self, program: &Pubkey) -> Result<(), ChainError> {
        let accounts = vec![
            AccountMeta::new(data_of(program), false),
            AccountMeta::new_readonly(self.authority.pubkey(), true),
        ];
        self.send(&[instruction(4, &[], accounts)], &[]).await
    }

    /// Who may upgrade the program, and the ELF that it runs.
    pub(crate) async fn deployed(&self, program: &Pubkey) -> (Option<Pubkey>, Vec<u8>) {
        let account = self.cluster.account(&data_of(program)).await.expect("the node answers");
        let (_, data) = account.expect("the program has data");
        // tag u32 | slot u64 | option u8 | authority[32]
        let authority =
            (data[12] == 1).then(|| Pubkey::new_from_array(data[13..45].try_into().expect("a key")));
        (authority, data[DATA_HEADER..].to_vec())
    }

    /// The ELF of a program that an older loader keeps in the program account itself.
    pub(crate) async fn elf_of(&self, program: &Pubkey) -> Vec<u8> {
        self.cluster.account(program).await.expect("the node answers").expect("the program is there").1
    }

    /// Calls the program with `data` and no accounts, and returns why it refused.
    pub(crate) async fn refusal(&self, program: &Pubkey, data: &[u8]) -> String {
        let call = Instruction { program_id: *program, accounts: Vec::new(), data: data.to_vec() };
        self.send(&[call], &[]).await.expect_err("no instruction takes nothing").to_string()
    }

    /// The deployer's address.
    pub(crate) fn key(&self) -> Pubkey {
        self.authority.pubkey()
    }

    /// Waits for the next slots: a program runs from the slot after the one that deployed it.
    pub(crate) async fn wait(&self) {
        let now = self.cluster.slot().await.expect("a slot");
        while self.cluster.slot().await.expect("a slot") < now + 2 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}
