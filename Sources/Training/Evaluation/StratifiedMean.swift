/// The mean of J over a set of images, each at times of its own, with its standard error.
///
/// In a round every image has one t, and the times of all are stratified over the trajectory: stratum s of N holds one. More
/// rounds give every image, and every stratum, more values.
///
/// The error is that of a mean over images *and* times: both are samples. J falls by orders of magnitude from one t to the
/// next where t is small, which no stratified mean feels; so what belongs to the stratum is taken away first, and what is
/// left of each image's mean tells the error.
struct StratifiedMean {
  /// N.
  let imageCount: Int
  /// Rounds so far, R.
  private(set) var rounds = 0
  /// Σ over the rounds of each image's J, and of each stratum's.
  private var imageSums: [Double]
  private var stratumSums: [Double]
  private var stratumSquares: [Double]
  /// By round: the stratum of each image.
  private var strata: [[Int32]] = []
  /// Σ of squared differences between neighbours in t, of the first round.
  private var neighbourSquares = 0.0

  init(imageCount: Int) {
    self.imageCount = imageCount
    imageSums = Array(repeating: 0, count: imageCount)
    stratumSums = imageSums
    stratumSquares = imageSums
  }

  /// How many rounds a bound takes unless an error is asked for.
  ///
  /// Four values for each t are enough for the first times, which hold most of the bound, to be there in their proportion. Few
  /// images in ever more rounds would still be few.
  static func rounds(imageCount: Int, trajectoryLength: Int) -> Int {
    min(64, max(1, (4 * (trajectoryLength - 1) + imageCount - 1) / imageCount))
  }

  /// Adds a round's J and t of every image.
  mutating func add(_ objectives: [Double], times: [Int32]) {
    let order = objectives.indices.sorted { (times[$0], $0) < (times[$1], $1) }
    if rounds == 0 {
      neighbourSquares = zip(order, order.dropFirst()).reduce(0) {
        let difference = objectives[$1.0] - objectives[$1.1]
        return $0 + difference * difference
      }
    }
    var strata = [Int32](repeating: 0, count: imageCount)
    for (stratum, image) in order.enumerated() {
      let objective = objectives[image]
      strata[image] = Int32(stratum)
      imageSums[image] += objective
      stratumSums[stratum] += objective
      stratumSquares[stratum] += objective * objective
    }
    self.strata.append(strata)
    rounds += 1
  }

  /// Each image's mean over the rounds.
  var objectives: [Double] { imageSums.map { $0 / Double(rounds) } }

  /// The mean over images and rounds.
  var mean: Double { imageSums.reduce(0, +) / Double(imageCount * rounds) }

  /// The standard error of the mean; infinity for a single image.
  ///
  /// Of one round Σ(J_i - J_{i+1})²/(2n(n-1)), squared, i in the order of t (the successive-difference estimator, Wolter,
  /// "Introduction to variance estimation", section 8.2): too large rather than too small where strata differ.
  var standardError: Double {
    guard imageCount > 1 else { return .infinity }
    let count = Double(imageCount)
    guard rounds > 1 else { return (neighbourSquares / (2 * count * (count - 1))).squareRoot() }
    return (residualVariance / count).squareRoot()
  }

  /// What of the standard error more rounds would leave: that of the images alone; 0 where one round cannot tell.
  var imagesError: Double {
    guard imageCount > 1, rounds > 1 else { return 0 }
    let (count, rounds) = (Double(imageCount), Double(rounds))
    let squares = stratumSquares.reduce(0, +) - stratumSums.reduce(0) { $0 + $1 * $1 } / rounds
    let withinStrata = squares / ((rounds - 1) * count)
    // The images' own share in their means' variance is lessened by their share in the strata's means.
    let share = (rounds - 1) / rounds
    return (max(0, residualVariance - withinStrata / rounds) / (share * share * count)).squareRoot()
  }

  /// The variance over the images of their means without what belongs to their strata.
  private var residualVariance: Double {
    let rounds = Double(rounds)
    let squares = imageSums.indices.reduce(0) { squares, image in
      let expected = strata.reduce(0) { $0 + stratumSums[Int($1[image])] } / rounds
      let residual = (imageSums[image] - expected) / rounds
      return squares + residual * residual
    }
    // R/(R-1): a value is part of its stratum's mean.
    return squares / Double(imageCount - 1) * rounds / (rounds - 1)
  }
}
