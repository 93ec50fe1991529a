// Sentences that scripts show, in the page's language: data-… of #words.
export const words = document.getElementById("words").dataset;
