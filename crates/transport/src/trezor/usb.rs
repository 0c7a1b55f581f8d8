//! A Trezor on USB: interface 0, two interrupt endpoints, packets of 64 bytes.
//!
//! The interface is of the vendor's class on all but the first firmwares (WebUSB), where it is
//! HID's: the kernel's driver is detached then, for as long as the link is open. What passes is
//! the same.

use std::time::Duration;

use nusb::descriptors::TransferType;
use nusb::transfer::{Direction, In, Interrupt, Out, TransferError};
use nusb::{DeviceInfo, Endpoint, ErrorKind, Interface};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{REPORT_BYTES, Report, TrezorDown, TrezorEvent};

pub(super) async fn run(
    serial: Option<String>,
    told: &mpsc::Sender<TrezorEvent>,
    to_send: mpsc::UnboundedReceiver<Report>,
) -> TrezorDown {
    let opened = match find(serial.as_deref()).await {
        Ok(found) => open(&found).await,
        Err(down) => Err(down),
    };
    match opened {
        Ok(interface) => match carry(&interface, told, to_send).await {
            Ok(()) => TrezorDown::Away("closed".to_owned()),
            Err(down) => down,
        },
        Err(down) => down,
    }
}

/// The one that is meant.
async fn find(serial: Option<&str>) -> Result<DeviceInfo, TrezorDown> {
    let listed = nusb::list_devices().await.map_err(|it| of_error(&it))?;
    let mut found: Vec<DeviceInfo> = listed
        .filter(|it| IDS.contains(&(it.vendor_id(), it.product_id())))
        .filter(|it| serial.is_none_or(|serial| it.serial_number() == Some(serial)))
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(device), true) => Ok(device),
        (Some(_), false) => Err(TrezorDown::Away(
            "several are plugged in; name one by --path usb:SERIAL".to_owned(),
        )),
        (None, _) => Err(TrezorDown::Away("none is plugged in".to_owned())),
    }
}

async fn open(found: &DeviceInfo) -> Result<Interface, TrezorDown> {
    let device = found.open().await.map_err(|it| of_error(&it))?;
    let mut interfaces = found.interfaces();
    let is_hid = interfaces.any(|it| it.interface_number() == INTERFACE && it.class() == CLASS_HID);
    let claimed = if is_hid {
        device.detach_and_claim_interface(INTERFACE).await
    } else {
        device.claim_interface(INTERFACE).await
    };
    claimed.map_err(|it| of_error(&it))
}

async fn carry(
    interface: &Interface,
    told: &mpsc::Sender<TrezorEvent>,
    mut to_send: mpsc::UnboundedReceiver<Report>,
) -> Result<(), TrezorDown> {
    let (address_in, address_out) = addresses(interface)?;
    let input = interface.endpoint::<Interrupt, In>(address_in);
    let mut input = input.map_err(|it| of_error(&it))?;
    let output = interface.endpoint::<Interrupt, Out>(address_out);
    let mut output = output.map_err(|it| of_error(&it))?;
    if told.send(TrezorEvent::Up).await.is_err() {
        return Ok(());
    }
    let buffer = input.allocate(REPORT_BYTES);
    input.submit(buffer);
    loop {
        tokio::select! {
            report = to_send.recv() => match report {
                Some(report) => output.submit(report.into()),
                None => return flush(&mut output).await,
            },
            sent = output.next_complete(), if output.pending() > 0 => {
                sent.into_result().map_err(of_transfer)?;
            }
            read = input.next_complete() => {
                let mut buffer = read.into_result().map_err(of_transfer)?;
                let report = TrezorEvent::Report(buffer.to_vec());
                if told.send(report).await.is_err() {
                    return Ok(());
                }
                buffer.clear();
                input.submit(buffer);
            }
        }
    }
}

/// What was sent goes out, unless the device takes no more: then it is left, and closed.
async fn flush(output: &mut Endpoint<Interrupt, Out>) -> Result<(), TrezorDown> {
    while output.pending() > 0 {
        match timeout(FLUSH_WAIT, output.next_complete()).await {
            Ok(sent) => sent.into_result().map_err(of_transfer).map(drop)?,
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Of the endpoints in and out, which differ between models.
fn addresses(interface: &Interface) -> Result<(u8, u8), TrezorDown> {
    let descriptor = interface.descriptor();
    let of = |direction| {
        let endpoints = descriptor.iter().flat_map(|it| it.endpoints());
        endpoints
            .filter(|it| it.transfer_type() == TransferType::Interrupt)
            .find(|it| it.direction() == direction)
            .map(|it| it.address())
    };
    let both = of(Direction::In).zip(of(Direction::Out));
    both.ok_or_else(|| TrezorDown::Away("its interface is none of a Trezor".to_owned()))
}

fn of_error(error: &nusb::Error) -> TrezorDown {
    match error.kind() {
        ErrorKind::Busy => TrezorDown::Busy,
        ErrorKind::PermissionDenied => TrezorDown::Forbidden(error.to_string()),
        ErrorKind::Disconnected
        | ErrorKind::NotFound
        | ErrorKind::Unsupported
        | ErrorKind::Other
        | _ => TrezorDown::Away(error.to_string()),
    }
}

fn of_transfer(error: TransferError) -> TrezorDown {
    TrezorDown::Away(error.to_string())
}

/// 1 s for a device to take the last reports: one that hangs would keep itself from everybody.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// The first interface; the others are for debugging and U2F.
const INTERFACE: u8 = 0;

/// HID's class (USB HID 1.11, section 4.1).
const CLASS_HID: u8 = 3;

/// Vendor and product (trezor-firmware, `51-trezor.rules`): the first firmwares, loader and
/// firmware of those since.
const IDS: [(u16, u16); 3] = [(0x534c, 0x0001), (0x1209, 0x53c0), (0x1209, 0x53c1)];
