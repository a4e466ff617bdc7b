// The faults that people try first. What a preset does not name is off.

export const PRESETS = [
  { label: "Slow", values: { slow: 5 } },
  { label: "Down", values: { down: true } },
  { label: "Flaky replies", values: { E106: 20, reset_after: 10, half: 10 } },
  { label: "Flaky postbacks", values: { twice: 100, shuffle: true } },
];

