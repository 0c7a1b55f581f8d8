//! Rows that somebody changes in the database, or puts back when they are gone: what does not
//! open is named, and keeps nobody from the rest.

use crate::on_both;

on_both! {
    a_list_names_what_does_not_open,
    an_account_that_is_gone_is_not_put_back,
}

mod cases {
    use keystead_channel::log::Action;
    use keystead_channel::session::requests::{Context, KeyType, Method, Request, Unread};
    use keystead_channel::session::{KeyId, SetUpError, Status};

    use crate::wants::*;
    use crate::world::{Database, Person, World};

    async fn five_secrets(person: &mut Person) -> Vec<KeyId> {
        let mut keys = Vec::new();
        for _ in 0..5 {
            let asked = put(person, Context::Stored, 32);
            keys.push(person.new_key(&Request::Put(asked)).await.0);
        }
        keys.sort();
        keys
    }

    /// The ids of a page, and whether there are more.
    async fn page(person: &mut Person, after: Option<KeyId>, limit: u32) -> (Vec<KeyId>, bool) {
        let page = person.entries(&list(after, limit)).await;
        (page.entries.0.iter().map(|it| it.key).collect(), page.more)
    }

    /// The page is refused by the name of its first entry, and so is what the log says.
    async fn is_unread(person: &mut Person, after: Option<KeyId>, key: KeyId) {
        let answer = person.ask(&list(after, 100)).await;
        assert_eq!(answer.status, Status::Corrupt);
        let named = Unread::decode(answer.result.unwrap().expose()).unwrap();
        assert_eq!(named.key, key);
        let leaf = person.last_leaf().await;
        assert_eq!(leaf.action, Action::Method(Method::List));
        assert_eq!((leaf.outcome, leaf.key), (Status::Corrupt, key.0));
    }

    pub(super) async fn a_list_names_what_does_not_open(database: Database) {
        let mut world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let keys = five_secrets(&mut anna).await;
        assert_eq!(page(&mut anna, None, 100).await, (keys.clone(), false));
        // The third from the front, then the first as well.
        for (damaged, open) in [(2, vec![0, 1, 3, 4]), (0, vec![1, 3, 4])] {
            let hex = keys[damaged].to_string();
            let of_it = match database {
                Database::Sqlite => format!("hex(key_id) = upper('{hex}')"),
                Database::Postgres => format!("key_id = decode('{hex}', 'hex')"),
            };
            world.change(&format!(
                "UPDATE secret SET made_ms = made_ms + 1 WHERE {of_it}"
            ));
            for place in &open {
                anna.value(&export(keys[*place], KeyType::Arbitrary)).await;
            }
            anna.refused(&export(keys[damaged], KeyType::Arbitrary), Status::Corrupt)
                .await;
            assert_eq!(anna.last_leaf().await.key, keys[damaged].0);
            if damaged == 2 {
                assert_eq!(page(&mut anna, None, 100).await, (keys[..2].to_vec(), true));
                assert_eq!(page(&mut anna, None, 2).await, (keys[..2].to_vec(), true));
                assert_eq!(page(&mut anna, None, 1).await, (keys[..1].to_vec(), true));
            }
        }
        is_unread(&mut anna, None, keys[0]).await;
        assert_eq!(
            page(&mut anna, Some(keys[0]), 9).await,
            (vec![keys[1]], true)
        );
        is_unread(&mut anna, Some(keys[1]), keys[2]).await;
        let rest = page(&mut anna, Some(keys[2]), 9).await;
        assert_eq!(rest, (keys[3..].to_vec(), false));
    }

    /// Neither its row nor a session's lets anybody in.
    pub(super) async fn an_account_that_is_gone_is_not_put_back(database: Database) {
        let mut world = World::new(database).await;
        let mut anna = world.person("anna").await;
        five_secrets(&mut anna).await;
        let mut again = Person::again(&anna);
        again.log_in().await;
        let tables = ["account", "session", "secret"];
        for table in tables {
            world.change(&format!(
                "CREATE TABLE old_{table} AS SELECT * FROM {table}"
            ));
        }
        let answer = anna.ask(&Request::DeleteAccount).await;
        assert_eq!(answer.status, Status::Done);
        for table in tables {
            world.change(&format!("INSERT INTO {table} SELECT * FROM old_{table}"));
        }
        let refused = again.try_resume().await;
        assert_eq!(
            refused,
            Err(SetUpError::Server(Status::LoginRequired.into()))
        );
        let refused = anna.try_log_in().await;
        assert_eq!(refused, Err(SetUpError::Server(Status::Corrupt.into())));
    }
}
