internal import Foundation
public import Tensors

extension ConfigurationAssignment {
  /// The flags that stand for a key: the reference's own, then ours; an underscore may stand for each hyphen.
  static let flags: [(flag: String, key: String)] = [
    ("--batch-size", "training.batch_size"),
    ("--lr", "training.lr"),
    ("--suffix", "output.suffix"),
    ("--output-dir", "output.directory"),
    ("--ext-every-n", "output.every_n_epochs"),
    ("--dropout-rate", "training.dropout_rate"),
    ("--dataset", "dataset.name"),
    ("--plot-before-training", "output.plot_before_training"),
    ("--tensorboard", "output.tensorboard"),
    ("--epochs", "training.epochs"),
    ("--seed", "training.seed"),
    ("--data-dir", "dataset.path"),
    ("--offline", "dataset.offline"),
    ("--strict", "dataset.strict"),
    ("--name", "output.name"),
    ("--threads", "distributed.threads"),
    ("--timeout", "distributed.timeout"),
    ("--reduction", "distributed.reduction"),
    ("--wire-precision", "distributed.wire_precision"),
  ]

  /// What a flag that stands for a key, such as `--batch-size`, says.
  ///
  /// - Parameters:
  ///   - flag: The flag as it was written, with hyphens or underscores.
  ///   - value: Its value as it was written; the key checks it.
  public static func flag(_ flag: String, _ value: String) -> ConfigurationAssignment {
    let hyphenated = flag.replacing("_", with: "-")
    guard let key = flags.first(where: { $0.flag == hyphenated })?.key else {
      preconditionFailure("no key stands for \(flag)")
    }
    return ConfigurationAssignment(subject: flag, key: key, value: value)
  }

  /// What one `--set key=value` says.
  ///
  /// - Throws: `InputError` unless there is a key, `=` and a value; the key itself is looked up later.
  public static func set(_ text: String) throws(InputError) -> ConfigurationAssignment {
    guard let (key, value) = keyAndValue(text) else {
      throw InputError("--set", found: "\"\(text)\"", expected: "key=value, as in training.lr=2e-3")
    }
    return ConfigurationAssignment(subject: "--set \(key)", key: key, value: value)
  }

  /// What the reference's `--model-args "n_scales=2,n_hidden_conv=40"` says.
  ///
  /// - Throws: `InputError` unless the text is a list of `key=value` with different keys; they are looked up later.
  public static func modelArguments(_ text: String) throws(InputError) -> [ConfigurationAssignment] {
    var assignments: [ConfigurationAssignment] = []
    // The reference evaluates the list as Python's arguments: one comma more at the end is allowed there.
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1 && part.allSatisfy(\.isWhitespace) { break }
      guard let (key, value) = keyAndValue(String(part)) else {
        throw InputError(
          "--model-args", found: "\"\(part)\"", expected: "\"key=value,…\", as in \"n_scales=2,n_hidden_conv=40\"")
      }
      guard !assignments.contains(where: { $0.key == "model.\(key)" }) else {
        throw InputError("--model-args", found: "\(key) twice", expected: "every key once")
      }
      assignments.append(
        ConfigurationAssignment(subject: "--model-args \(key)", key: "model.\(key)", value: value))
    }
    return assignments
  }

  private static func keyAndValue(_ text: String) -> (key: String, value: String)? {
    guard let equals = text.firstIndex(of: "=") else { return nil }
    let key = text[..<equals].trimmingCharacters(in: .whitespaces)
    return key.isEmpty ? nil : (key, text[text.index(after: equals)...].trimmingCharacters(in: .whitespaces))
  }
}
