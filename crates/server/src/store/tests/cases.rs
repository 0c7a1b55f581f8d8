//! What any database must do.

use keystead_channel::session::KeyId;

use crate::rows::{AccountNo, AccountState, NameTag};
use crate::store::Wanted;

use super::Place;
use super::place::{account, act, look, secret};

pub(super) async fn what_is_written_is_read(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = act(&store, &sealing, Wanted::new(), |rows| {
        let no = rows.new_account_no();
        let mut it = account(no, "alex");
        it.state = AccountState::Active;
        rows.put_account(it);
        rows.new_chain(no);
        rows.put_secret(secret(no, 9));
        no
    })
    .await
    .unwrap();
    assert_eq!(no, AccountNo(1));
    let mut wanted = Wanted::new();
    wanted
        .tag(NameTag([1; 16]))
        .secret(no, KeyId([9; 16]))
        .secret(no, KeyId([8; 16]));
    look(&store, &sealing, wanted, |rows| {
        let found = rows.account_by_tag(NameTag([1; 16])).unwrap().unwrap();
        assert_eq!(found.name.as_str(), "alex");
        let held = rows.secret(no, KeyId([9; 16])).unwrap().unwrap();
        assert_eq!(held.value.expose(), [9; 32]);
        assert!(rows.secret(no, KeyId([8; 16])).unwrap().is_none());
        assert!(rows.secret(no, KeyId([7; 16])).is_err());
        assert_eq!(rows.chain(no).unwrap().unwrap().secrets, 1);
    })
    .await
    .unwrap();
    drop(store);
    let (store, sealing, _) = place.open().await;
    let page = store.secrets(&sealing, no, None, 10).await.unwrap();
    assert_eq!(page.len(), 1);
}
