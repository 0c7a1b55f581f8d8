//! SSH and SSHSIG bytes, decoded and encoded whole or not at all; signatures verified
