//! Files and registry keys that events are about.

use event::fields as f;

use super::values;
use crate::formats::{mapping::Op::File, sheet::Sheet, text};

/// A file that was accessed, or a registry key.
pub(super) fn object(sheet: &mut Sheet) {
    let Some(name) = sheet.get(f::WINLOG_EVENT_DATA_OBJECT_NAME).map(str::to_owned) else { return };
    match sheet.get(f::WINLOG_EVENT_DATA_OBJECT_TYPE) {
        Some("File") => {
            sheet.put_all(f::EVENT_CATEGORY, &["file"]);
            File.run(sheet, &name);
        }
        Some("Key") => {
            sheet.put_all(f::EVENT_CATEGORY, &["registry"]);
            registry(sheet);
        }
        _ => {}
    }
}

/// `\REGISTRY\MACHINE\…` in Sysmon's form with its parts, and the data that a value was set to.
pub(super) fn registry(sheet: &mut Sheet) {
    let present = |field| sheet.get(field).filter(|text| text::is_present(text));
    if let Some(kind) = present(f::WINLOG_EVENT_DATA_NEW_VALUE_TYPE) {
        let kind = audited_type(kind).to_owned();
        let data = present(f::WINLOG_EVENT_DATA_NEW_VALUE).map(str::to_owned);
        registry_data(sheet, &kind, data.as_deref());
    }
    let Some(name) = sheet.get(f::WINLOG_EVENT_DATA_OBJECT_NAME) else { return };
    let mut path = values::registry_root(name);
    let value = sheet.get(f::WINLOG_EVENT_DATA_OBJECT_VALUE_NAME).filter(|v| !v.is_empty());
    let has_value = value.is_some();
    if let Some(value) = value {
        path.push('\\');
        path.push_str(value);
    }
    sheet.put(f::REGISTRY_PATH, &path);
    values::registry_parts(sheet, has_value);
}

/// Registry data of a type, as number or text, in Sysmon's form and in its parts; without a
/// type there is nothing to say. `kind` is as in Windows, with or without `REG_`.
pub(in crate::formats) fn registry_data(sheet: &mut Sheet, kind: &str, data: Option<&str>) {
    let Some(data) = data else {
        return sheet.put(f::REGISTRY_DATA_DETAILS, "(Empty)");
    };
    let number = || text::whole(data).map(i64::cast_unsigned);
    match kind.strip_prefix("REG_").unwrap_or(kind) {
        "DWORD" => {
            sheet.put(f::REGISTRY_DATA_TYPE, "REG_DWORD");
            if let Some(number) = number() {
                sheet.put(f::REGISTRY_DATA_STRINGS, &number.to_string());
                sheet.put(f::REGISTRY_DATA_DETAILS, &format!("DWORD (0x{:08x})", number as u32));
            }
        }
        "QWORD" => {
            sheet.put(f::REGISTRY_DATA_TYPE, "REG_QWORD");
            if let Some(number) = number() {
                sheet.put(f::REGISTRY_DATA_STRINGS, &number.to_string());
                let (high, low) = (number >> 32, number as u32);
                sheet.put(f::REGISTRY_DATA_DETAILS, &format!("QWORD (0x{high:08x}-0x{low:08x})"));
            }
        }
        "BINARY" => {
            sheet.put(f::REGISTRY_DATA_TYPE, "REG_BINARY");
            sheet.put(f::REGISTRY_DATA_BYTES, data);
            sheet.put(f::REGISTRY_DATA_DETAILS, "Binary Data");
        }
        other => {
            sheet.put(f::REGISTRY_DATA_TYPE, &format!("REG_{other}"));
            sheet.put(f::REGISTRY_DATA_STRINGS, data);
            sheet.put(f::REGISTRY_DATA_DETAILS, data);
        }
    }
}

/// The registry type that an audit event names by a parameter message (event 4657).
fn audited_type(parameter: &str) -> &str {
    match parameter {
        "%%1872" => "REG_NONE",
        "%%1873" => "REG_SZ",
        "%%1874" => "REG_EXPAND_SZ",
        "%%1875" => "REG_BINARY",
        "%%1876" => "REG_DWORD",
        "%%1879" => "REG_MULTI_SZ",
        "%%1883" => "REG_QWORD",
        rendered => rendered,
    }
}
