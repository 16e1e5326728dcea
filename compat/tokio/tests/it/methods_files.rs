//! Methods, constants and variants of `tokio::fs`.

#[test]
fn they_are_there() {
    methods! {
        tokio::fs::DirBuilder: new recursive mode;
        tokio::fs::DirEntry: ino path file_name metadata file_type;
        tokio::fs::File: options from_std sync_all sync_data set_len metadata try_clone into_std try_into_std
            set_permissions set_times set_modified set_max_buf_size max_buf_size;
        tokio::fs::FileTimes: new set_accessed set_modified;
        tokio::fs::OpenOptions: new read write append truncate create create_new mode custom_flags;
        tokio::fs::ReadDir: next_entry poll_next_entry;
    }
}
